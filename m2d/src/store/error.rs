//! What a store says when it can't do what was asked.

use super::Fault;
use std::path::PathBuf;
use thiserror::Error;

/// The store can't do what was asked.
#[derive(Debug, Error)]
pub enum StoreError {
    /// SQLite's error. Its text names no content.
    #[error("store.db failed: {0}. {advice}", advice = Fault::of_sqlite(.0).warning())]
    Sqlite(#[from] rusqlite::Error),
    /// The file can't be opened.
    #[error("The store {path} can't be opened: {source}. {}", Fault::of_sqlite(.source).warning())]
    Open {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: rusqlite::Error,
    },
    /// The identity does not open this store.
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
    /// A row holds what no version of M2 writes.
    #[error("The store holds a damaged {0}. {advice}", advice = Fault::Damaged.warning())]
    Corrupt(&'static str),
}

impl StoreError {
    /// What is wrong with the file.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Sqlite(error) | Self::Open { source: error, .. } => Fault::of_sqlite(error),
            Self::WrongKey(_) => Fault::WrongKey,
            Self::TooNew => Fault::Other,
            Self::Corrupt(_) => Fault::Damaged,
        }
    }

    /// Whether it stays until a person acts.
    pub fn is_permanent(&self) -> bool {
        matches!(
            self.fault(),
            Fault::Damaged | Fault::ReadOnly | Fault::WrongKey
        ) || matches!(self, Self::TooNew)
    }
}
