//! Checks that a data directory holds both a key and its store. A store can only be opened with its
//! own key.

use crate::key_file;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// A data directory holds only one of key and store. Trying again does not help.
#[derive(Debug, Error)]
pub enum PairError {
    /// There is a store, but no key.
    #[error(
        "{store} is there, but its key {key} is missing, without which it cannot be read. \
         Put the key file back; or move {store} away and run `m2d restore` with a backup, or \
         `m2d run` to begin with a new identity."
    )]
    KeyMissing {
        /// The store's file.
        store: PathBuf,
        /// The expected path of the key.
        key: PathBuf,
    },
    /// A restore was interrupted before its last step.
    #[error(
        "A restore into {directory} was interrupted. Run `m2d restore` again with the same backup."
    )]
    RestoreInterrupted {
        /// The data directory.
        directory: PathBuf,
    },
    /// The store is missing or empty, but its write-ahead log exists.
    #[error(
        "{store} is missing or empty, but its log {log} is there: a part of the store was removed \
         or not copied. Put {store} back; or move both away and run `m2d restore` with a backup."
    )]
    StoreCut {
        /// The store's file.
        store: PathBuf,
        /// The store's write-ahead log.
        log: PathBuf,
    },
    /// A file in the data directory can't be examined.
    #[error("Can't examine {path}: {source}.")]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
}

/// Checks that `data_dir` does not hold a key without its store or a store without its key. Runs
/// before anything is written.
pub fn check(data_dir: &Path, has_key: bool) -> Result<(), PairError> {
    if has_key {
        return check_store(data_dir);
    }
    if is_interrupted_restore(data_dir)? {
        let directory = data_dir.to_owned();
        return Err(PairError::RestoreInterrupted { directory });
    }
    for name in STORES {
        let store = data_dir.join(name);
        if is_there(&store)? {
            let key = data_dir.join(key_file::FILE_NAME);
            return Err(PairError::KeyMissing { store, key });
        }
    }
    Ok(())
}

/// The directory in which a restore is prepared. The last step of the restore removes it.
pub const RESTORE_DIRECTORY: &str = "restore.part";

/// Files that open only with the identity's key.
pub const STORES: [&str; 3] = [
    m2_store::FILE_NAME,
    m2_store::LOG_NAME,
    m2_mailbox::store::FILE_NAME,
];

/// Returns whether a directory without a key is in the middle of a restore: the prepared key or the
/// prepared store has not been renamed into place yet. A directory left over by a complete restore
/// does not count.
pub fn is_interrupted_restore(data_dir: &Path) -> Result<bool, PairError> {
    let part = data_dir.join(RESTORE_DIRECTORY);
    Ok(is_there(&part.join(key_file::FILE_NAME))?
        || is_there(&part)? && !is_there(&data_dir.join(m2_store::FILE_NAME))?)
}

/// Refuses a log without a store, because SQLite would delete that log when it creates the store.
fn check_store(data_dir: &Path) -> Result<(), PairError> {
    let (store, log) = (
        data_dir.join(m2_store::FILE_NAME),
        data_dir.join(m2_store::LOG_NAME),
    );
    if is_there(&store)? || !is_there(&log)? {
        return Ok(());
    }
    Err(PairError::StoreCut { store, log })
}

/// Returns whether a path exists and is a directory or a file that is not empty.
pub fn is_there(path: &Path) -> Result<bool, PairError> {
    match fs::metadata(path) {
        Ok(metadata) => Ok(metadata.is_dir() || metadata.len() > 0),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(source) => Err(PairError::Io {
            path: path.to_owned(),
            source,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(files: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (name, content) in files {
            fs::write(dir.path().join(name), content).unwrap();
        }
        dir
    }

    #[test]
    fn a_store_without_its_key_is_refused() {
        for store in STORES {
            let dir = with(&[(store, "x")]);
            let error = check(dir.path(), false).unwrap_err();
            assert!(matches!(error, PairError::KeyMissing { .. }));
            assert!(error.to_string().contains("m2d restore"));
        }
        let dir = with(&[("store.db", ""), ("replay.log", "x"), ("m2d.lock", "")]);
        check(dir.path(), false).unwrap();
    }

    #[test]
    fn the_log_of_a_lost_store_is_not_deleted() {
        for files in [
            &[("store.db-wal", "x")][..],
            &[("store.db", ""), ("store.db-wal", "x")],
        ] {
            let dir = with(files);
            assert!(matches!(
                check(dir.path(), true),
                Err(PairError::StoreCut { .. })
            ));
        }
        check(with(&[]).path(), true).unwrap();
        let whole = with(&[("store.db", "x"), ("store.db-wal", "x")]);
        check(whole.path(), true).unwrap();
    }

    #[test]
    fn an_interrupted_restore_is_detected() {
        let interrupted = |dir: &tempfile::TempDir| {
            let checked = check(dir.path(), false);
            matches!(checked, Err(PairError::RestoreInterrupted { .. }))
        };
        let dir = with(&[]);
        let part = dir.path().join(RESTORE_DIRECTORY);
        fs::create_dir(&part).unwrap();
        assert!(interrupted(&dir), "neither has its name");
        fs::write(dir.path().join("store.db"), "x").unwrap();
        assert!(!interrupted(&dir), "a key that was lost later");
        fs::write(part.join("identity.pem"), "x").unwrap();
        assert!(interrupted(&dir), "the key waits for its name");
    }
}
