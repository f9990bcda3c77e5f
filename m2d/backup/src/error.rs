//! Why a backup can't be written or opened.

use m2_crypto::backup::BackupError;
use std::io;
use thiserror::Error;

/// Why a backup can't be written or opened.
#[derive(Debug, Error)]
pub enum FileError {
    /// The file is no backup, is damaged, or needs another passphrase.
    #[error(transparent)]
    Backup(#[from] BackupError),
    /// A file can't be read or written.
    #[error("Can't {doing}: {source}.")]
    Io {
        /// What was tried, as in "read the backup".
        doing: &'static str,
        /// The system's error.
        source: io::Error,
    },
    /// The store inside can't be read or is not whole.
    #[error("The store in the backup is damaged: {0}.")]
    Store(String),
    /// The store inside does not hold what the backup says.
    #[error(
        "The store in the backup has {found} {what}, but {stated} were backed up: the backup is \
         not complete."
    )]
    Counts {
        /// What was counted.
        what: &'static str,
        /// As many are in the store.
        found: u64,
        /// As many should be.
        stated: u64,
    },
}

impl FileError {
    /// An error of the system while doing something.
    pub fn io(doing: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { doing, source }
    }
}
