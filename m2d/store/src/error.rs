//! Errors of the store.

use super::Fault;
use std::path::PathBuf;
use thiserror::Error;

/// The error of a store operation.
#[derive(Debug, Error)]
pub enum StoreError {
    /// An error of SQLite. Its text contains no user data.
    #[error("store.db failed: {0}. {advice}", advice = Fault::of_sqlite(.0).warning())]
    Sqlite(#[from] rusqlite::Error),
    /// The file can't be opened.
    #[error("The store {path} can't be opened: {source}. {}", fault.at_start())]
    Open {
        /// The file.
        path: PathBuf,
        /// The fault: of the error, or of the disk.
        fault: Fault,
        /// The error of SQLite.
        source: rusqlite::Error,
    },
    /// The identity's key does not open this store.
    #[error(
        "The store {0} does not open with this identity: it belongs to another identity.pem. Put \
         back the identity.pem that belongs to it, or restore a backup with `m2d restore`."
    )]
    WrongKey(PathBuf),
    /// The store was written by a newer version.
    #[error(
        "The store was written by a newer version of m2d. Install that version or a newer one."
    )]
    TooNew,
    /// A row holds data that no version of M2 writes.
    #[error("The store holds a damaged {0}. {advice}", advice = Fault::Damaged.warning())]
    Corrupt(&'static str),
}

impl StoreError {
    /// Returns the fault of the file that the error indicates.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Sqlite(error) => Fault::of_sqlite(error),
            Self::Open { fault, .. } => *fault,
            Self::WrongKey(_) => Fault::WrongKey,
            Self::TooNew => Fault::Other,
            Self::Corrupt(_) => Fault::Damaged,
        }
    }

    /// Returns whether the error persists until the user acts.
    pub fn is_permanent(&self) -> bool {
        matches!(
            self.fault(),
            Fault::Damaged | Fault::ReadOnly | Fault::WrongKey
        ) || matches!(self, Self::TooNew)
    }
}
