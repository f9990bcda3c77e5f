//! Files that hold a secret. They are read completely, up to a bound, and only if no other user can
//! access them.

use std::fs::{File, Metadata};
use std::io::{self, Read};
#[cfg(unix)]
use std::path::Component;
use std::path::{Path, PathBuf};
use thiserror::Error;
use zeroize::Zeroizing;

/// The maximum size of a secret in bytes, far above any passphrase or key.
const MAX_BYTES: u64 = 64 * 1024;

/// A file with a secret can't be used.
#[derive(Debug, Error)]
pub enum PrivateFileError {
    /// The file can't be read.
    #[error("Can't read {path}: {source}.")]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// Other users can read or change the file.
    #[error(
        "{path} holds a secret, and other users can read or change it (mode {mode:04o}). \
         Run `chmod 600 {path}`."
    )]
    OpenToOthers {
        /// The file.
        path: PathBuf,
        /// The permission bits of the file.
        mode: u32,
    },
    /// The file is larger than any secret.
    #[error("{path} is larger than 64 KiB, so it does not hold the secret that is expected.")]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
}

/// Reads a secret.
///
/// Errors: the file can't be read, is too large, or other users can read or change it.
pub fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, PrivateFileError> {
    let failed = |source| PrivateFileError::Read {
        path: path.to_owned(),
        source,
    };
    let file = File::open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    if let Some(mode) = open_to_others(path, &metadata) {
        let path = path.to_owned();
        return Err(PrivateFileError::OpenToOthers { path, mode });
    }
    let bytes = read_bounded(file).map_err(failed)?;
    bytes.ok_or_else(|| PrivateFileError::TooLarge {
        path: path.to_owned(),
    })
}

/// Refuses a file that other users can read or change. Does not read its content.
pub fn check(path: &Path) -> Result<(), PrivateFileError> {
    let metadata = path.metadata().map_err(|source| PrivateFileError::Read {
        path: path.to_owned(),
        source,
    })?;
    match open_to_others(path, &metadata) {
        Some(mode) => Err(PrivateFileError::OpenToOthers {
            path: path.to_owned(),
            mode,
        }),
        None => Ok(()),
    }
}

/// Reads a secret that another program protects, such as a credential of the service manager, whose
/// permissions may be access control lists.
///
/// Errors: the file can't be read, or is too large.
pub fn read_unchecked(path: &Path) -> Result<Zeroizing<Vec<u8>>, PrivateFileError> {
    let failed = |source| PrivateFileError::Read {
        path: path.to_owned(),
        source,
    };
    let bytes = File::open(path).and_then(read_bounded).map_err(failed)?;
    bytes.ok_or_else(|| PrivateFileError::TooLarge {
        path: path.to_owned(),
    })
}

/// Returns the bytes, or `None` if there are more than `MAX_BYTES`.
fn read_bounded(file: File) -> io::Result<Option<Zeroizing<Vec<u8>>>> {
    let mut bytes = Zeroizing::new(Vec::new());
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    Ok((bytes.len() as u64 <= MAX_BYTES).then_some(bytes))
}

/// Returns the mode of a file if other users can reach it and read or change it. Pipes and devices
/// are accepted, because they have no persistent content, and so are credentials: the service manager
/// protects them with access control lists, which show up as an open mode.
#[cfg(unix)]
fn open_to_others(path: &Path, metadata: &Metadata) -> Option<u32> {
    use std::os::unix::fs::PermissionsExt;
    let credentials = std::env::var_os("CREDENTIALS_DIRECTORY");
    if credentials.is_some_and(|directory| is_within(path, Path::new(&directory))) {
        return None;
    }
    let mode = metadata.permissions().mode() & 0o7777;
    let is_open = metadata.is_file()
        && (mode & 0o006 != 0 && can_enter(path, 0o001)
            || mode & 0o060 != 0 && can_enter(path, 0o011));
    is_open.then_some(mode)
}

/// Returns whether a path leads into a directory, without following links.
#[cfg(unix)]
fn is_within(path: &Path, directory: &Path) -> bool {
    let climbs = path.components().any(|part| part == Component::ParentDir);
    directory.is_absolute() && path.starts_with(directory) && !climbs
}

/// Returns whether each directory above a file has one of these search permissions. A directory
/// that can't be examined counts as open.
#[cfg(unix)]
fn can_enter(path: &Path, bits: u32) -> bool {
    use std::os::unix::fs::PermissionsExt;
    let Ok(whole) = path.canonicalize() else {
        return true;
    };
    let mut directories = whole.ancestors().skip(1);
    directories.all(|directory| {
        let metadata = directory.metadata();
        metadata.map_or(true, |found| found.permissions().mode() & bits != 0)
    })
}

/// Returns nothing: this system has no permission bits.
#[cfg(not(unix))]
fn open_to_others(_path: &Path, _metadata: &Metadata) -> Option<u32> {
    None
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    fn set_mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    /// Creates a secret file with `mode` in a directory with `directory_mode`. The directory above
    /// is open.
    fn secret(mode: u32, directory_mode: u32) -> (tempfile::TempDir, PathBuf) {
        let outer = tempfile::Builder::new()
            .permissions(fs::Permissions::from_mode(0o755))
            .tempdir()
            .unwrap();
        let inner = outer.path().join("inner");
        fs::create_dir(&inner).unwrap();
        let path = inner.join("secret");
        fs::write(&path, "hush").unwrap();
        set_mode(&path, mode);
        set_mode(&inner, directory_mode);
        (outer, path)
    }

    #[test]
    fn a_secret_that_others_can_access_is_refused() {
        for mode in [0o644, 0o640, 0o602, 0o620, 0o604] {
            let (_dir, path) = secret(mode, 0o755);
            let error = read(&path).unwrap_err();
            assert!(error.to_string().contains(&format!("mode {mode:04o}")));
            assert!(error.to_string().contains("chmod 600"));
        }
    }

    #[test]
    fn a_closed_file_or_directory_is_enough() {
        for (mode, directory) in [(0o600, 0o755), (0o644, 0o700), (0o400, 0o755)] {
            let (_dir, path) = secret(mode, directory);
            assert_eq!(read(&path).unwrap().as_slice(), b"hush");
        }
    }

    #[test]
    fn a_link_is_checked_at_its_target() {
        let (_dir, path) = secret(0o644, 0o755);
        let closed = tempfile::tempdir().unwrap();
        set_mode(closed.path(), 0o700);
        let link = closed.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        let error = read(&link).unwrap_err();
        assert!(matches!(error, PrivateFileError::OpenToOthers { .. }));
    }

    #[test]
    fn credentials_are_recognised_by_their_directory() {
        let within = |path: &str| is_within(Path::new(path), Path::new("/run/credentials/m2d"));
        assert!(within("/run/credentials/m2d/circle"));
        assert!(!within("/run/credentials/m2d-work/circle"));
        assert!(!within("/run/credentials/m2d/../other/circle"));
        assert!(!is_within(Path::new("circle"), Path::new("")));
    }

    #[test]
    fn a_large_file_or_a_directory_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("large");
        fs::write(&path, vec![b'x'; 65 * 1024]).unwrap();
        set_mode(&path, 0o600);
        assert!(matches!(
            read(&path),
            Err(PrivateFileError::TooLarge { .. })
        ));
        assert!(matches!(
            read(dir.path()),
            Err(PrivateFileError::Read { .. })
        ));
    }
}
