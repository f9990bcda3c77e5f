//! Errors of backup files.

use m2_crypto::backup::BackupError;
use std::io;
use thiserror::Error;

/// The reason why a backup can't be written or opened.
#[derive(Debug, Error)]
pub enum FileError {
    /// The file is not a backup, is damaged, or needs another passphrase.
    #[error(transparent)]
    Backup(#[from] BackupError),
    /// A file can't be read or written.
    #[error("Can't {doing}: {source}.")]
    Io {
        /// The operation that failed, such as "read the backup".
        doing: &'static str,
        /// The system's error.
        source: io::Error,
    },
    /// The store in the backup can't be read or fails its check.
    #[error("The store in the backup is damaged: {0}.")]
    Store(String),
    /// The store in the backup does not have the number of items that the backup states.
    #[error(
        "The store in the backup has {found} {what}, but {stated} were backed up: the backup is \
         not complete."
    )]
    Counts {
        /// The items that were counted: "contacts" or "messages".
        what: &'static str,
        /// The number in the store.
        found: u64,
        /// The number that the backup states.
        stated: u64,
    },
}

impl FileError {
    /// Wraps a system error that occurred during an operation.
    pub fn io(doing: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { doing, source }
    }
}
