//! The file to which a backup is written, under a temporary name until it is complete and verified.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use m2_backup::private;

use crate::failure::Failure;

/// A file that does not have its final name yet. Dropping it before [`Self::finish`] deletes it.
#[derive(Debug)]
pub(super) struct NewFile {
    target: PathBuf,
    part: PathBuf,
    file: File,
    replaces: bool,
}

impl NewFile {
    /// Creates the temporary file for `target`.
    pub(super) fn begin(target: &Path, replaces: bool) -> Result<Self, Failure> {
        if target.file_name().is_none() || target.is_dir() {
            let text = format!("{} is a directory. Name a file.", target.display());
            return Err(Failure::Usage(text));
        }
        if !replaces && fs::symlink_metadata(target).is_ok() {
            return Err(exists(target));
        }
        let part = with_suffix(target, ".part");
        let file = private::create(&part)
            .map_err(|error| Failure::Local(format!("Can't write {}: {error}.", part.display())))?;
        Ok(Self {
            target: target.to_owned(),
            part,
            file,
            replaces,
        })
    }

    /// Returns the path of the temporary file.
    pub(super) fn path(&self) -> &Path {
        &self.part
    }

    /// Returns a path for the store while it is checked.
    pub(super) fn scratch(&self) -> PathBuf {
        with_suffix(&self.target, ".check")
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.file.write_all(bytes).map_err(|error| {
            Failure::Local(format!("Can't write {}: {error}.", self.part.display()))
        })
    }

    /// Flushes the file.
    pub(super) fn sync(&self) -> Result<(), Failure> {
        self.file.sync_all().map_err(|error| {
            Failure::Local(format!("Can't write {}: {error}.", self.part.display()))
        })
    }

    /// Renames the file to its final name, durably.
    pub(super) fn finish(self) -> Result<(), Failure> {
        let failed =
            |error| Failure::Local(format!("Can't name {}: {error}.", self.target.display()));
        if self.replaces {
            fs::rename(&self.part, &self.target).map_err(failed)?;
        } else {
            self.link().map_err(failed)?;
        }
        private::sync_directory(&self.target).map_err(failed)
    }

    /// Links the file to its final name: a link never replaces a file that appeared in the
    /// meantime. Falls back to a rename where the file system has no links.
    fn link(&self) -> std::io::Result<()> {
        match fs::hard_link(&self.part, &self.target) {
            Ok(()) => fs::remove_file(&self.part),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Err(error),
            Err(_) if fs::symlink_metadata(&self.target).is_ok() => {
                Err(std::io::ErrorKind::AlreadyExists.into())
            }
            Err(_) => fs::rename(&self.part, &self.target),
        }
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        // After the rename the temporary file no longer exists.
        let _ = fs::remove_file(&self.part);
    }
}

/// Returns a path in the directory for temporary files.
pub(super) fn scratch_elsewhere() -> PathBuf {
    std::env::temp_dir().join(format!("m2-backup-{}.check", std::process::id()))
}

fn with_suffix(target: &Path, end: &str) -> PathBuf {
    let mut name = target.as_os_str().to_owned();
    name.push(end);
    PathBuf::from(name)
}

fn exists(target: &Path) -> Failure {
    Failure::Usage(format!(
        "{} exists. Name another file, or give --force to replace it.",
        target.display()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unfinished_file_leaves_nothing_and_replaces_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("backup");
        let mut file = NewFile::begin(&target, false).unwrap();
        file.write(b"half").unwrap();
        drop(file);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);

        let mut file = NewFile::begin(&target, false).unwrap();
        file.write(b"whole").unwrap();
        fs::write(&target, "came meanwhile").unwrap();
        assert!(file.finish().is_err());
        assert_eq!(fs::read_to_string(&target).unwrap(), "came meanwhile");
        assert!(NewFile::begin(&target, false).is_err());

        let mut file = NewFile::begin(&target, true).unwrap();
        file.write(b"whole").unwrap();
        file.finish().unwrap();
        assert_eq!(fs::read_to_string(&target).unwrap(), "whole");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
