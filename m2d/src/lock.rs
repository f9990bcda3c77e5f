//! The lock that allows one daemon per data directory.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

/// A lock held while the daemon runs. The system releases it when the process exits, however it
/// exits.
#[derive(Debug)]
pub struct InstanceLock(#[allow(dead_code, reason = "held for its lock")] File);

/// The lock can't be taken.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another daemon runs on this data directory.
    #[error(
        "Another m2d runs on the data directory {0}. Stop it first, or give this one another \
         --data-dir."
    )]
    AlreadyRunning(PathBuf),
    /// The lock file can't be created, for example because the directory is not writable.
    #[error("The lock {path} can't be taken: {source}. The daemon must be able to write it.")]
    Io {
        /// The lock file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
}

impl InstanceLock {
    /// Takes the lock of `data_dir`, which must exist, without waiting.
    pub fn take(data_dir: &Path) -> Result<Self, LockError> {
        let mut options = OpenOptions::new();
        options.create(true).truncate(false).write(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let path = data_dir.join("m2d.lock");
        let failed = |source| LockError::Io {
            path: path.clone(),
            source,
        };
        let file = options.open(&path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => Ok(Self(file)),
            Err(TryLockError::WouldBlock) => Err(LockError::AlreadyRunning(data_dir.to_owned())),
            Err(TryLockError::Error(error)) => Err(failed(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_lock_is_refused_until_the_first_is_dropped() {
        let dir = tempfile::tempdir().unwrap();
        let first = InstanceLock::take(dir.path()).unwrap();
        let second = InstanceLock::take(dir.path());
        assert!(matches!(second, Err(LockError::AlreadyRunning(_))));
        drop(first);
        assert!(InstanceLock::take(dir.path()).is_ok());
    }
}
