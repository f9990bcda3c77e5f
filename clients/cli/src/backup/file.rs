//! The file that a backup is written to: under another name until it is complete and verified.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use m2_backup::private;

use crate::failure::Failure;

/// A file that does not have its name yet. Dropped before that, nothing of it stays.
#[derive(Debug)]
pub(super) struct NewFile {
    target: PathBuf,
    part: PathBuf,
    file: File,
    replaces: bool,
}

impl NewFile {
    /// Begins the file that becomes `target`.
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

    /// Where the bytes are now.
    pub(super) fn path(&self) -> &Path {
        &self.part
    }

    /// A name for the store while it is checked.
    pub(super) fn scratch(&self) -> PathBuf {
        with_suffix(&self.target, ".check")
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.file.write_all(bytes).map_err(|error| {
            Failure::Local(format!("Can't write {}: {error}.", self.part.display()))
        })
    }

    /// Makes the bytes durable.
    pub(super) fn sync(&self) -> Result<(), Failure> {
        self.file.sync_all().map_err(|error| {
            Failure::Local(format!("Can't write {}: {error}.", self.part.display()))
        })
    }

    /// Gives the file its name, durable.
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

    /// A link never replaces a file that appeared meanwhile. Some file systems have none.
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
        // Once it has its name there is none.
        let _ = fs::remove_file(&self.part);
    }
}

/// A name in the directory for temporary files.
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
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_is_not_finished_leaves_nothing_and_replaces_nothing() {
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
