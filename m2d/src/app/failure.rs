//! Why the daemon did not run, and the exit code that says so.

use crate::ask::AskError;
use crate::config::ConfigError;
use crate::key_file::KeyFileError;
use crate::listen::ListenError;
use crate::lock::LockError;
use crate::mailbox::store::MailboxError;
use crate::pair::PairError;
use crate::paths::NoHome;
use crate::store::StoreError;
use crate::unlock::PassphraseError;
use m2_backup::FileError;
use m2_crypto::KeyError;
use m2_crypto::backup::BackupError;
use std::io;
use std::path::PathBuf;
use thiserror::Error;

/// Why the daemon did not run.
#[derive(Debug, Error)]
pub enum Failure {
    /// An option or a configured value is wrong.
    #[error("{0}")]
    Usage(String),
    /// The configuration is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Nobody says where files are.
    #[error(transparent)]
    NoHome(#[from] NoHome),
    /// The data directory can't be made or used.
    #[error("can't use the data directory {path}: {source}")]
    DataDir {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Another daemon runs here, or the lock can't be had.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The socket for front-ends can't be made.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// A passphrase file can't be read.
    #[error(transparent)]
    Passphrase(#[from] PassphraseError),
    /// A backup can't be opened.
    #[error(transparent)]
    Backup(#[from] FileError),
    /// A restore would overwrite an identity or a store.
    #[error(
        "{directory} is not empty: {found} is there. Name another directory with --data-dir, or \
         move everything in this one away first, all of it together."
    )]
    Taken {
        /// The data directory.
        directory: PathBuf,
        /// What is there.
        found: PathBuf,
    },
    /// The user gave no passphrase that can be used.
    #[error(transparent)]
    Ask(#[from] AskError),
    /// The identity can't be opened or made.
    #[error(transparent)]
    Key(#[from] KeyFileError),
    /// The data directory holds half of a pair of key and store.
    #[error(transparent)]
    Pair(#[from] PairError),
    /// The store can't be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The store of the mailbox role can't be opened.
    #[error("can't open the mailbox: {0}")]
    Mailbox(#[from] MailboxError),
    /// The UDP sockets can't be bound.
    #[error("can't bind the UDP addresses of [network] listen: {0}")]
    Bind(io::Error),
    /// Serving the API failed.
    #[error("can't serve the API: {0}")]
    Api(String),
    /// Threads can't be started.
    #[error("can't start threads: {0}")]
    Runtime(io::Error),
}

impl Failure {
    /// 2: usage or configuration; 3: locked or wrong passphrase; 4: already running; else 1.
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) | Self::Config(_) | Self::NoHome(_) | Self::DataDir { .. } => 2,
            Self::Ask(_) | Self::Pair(_) | Self::Taken { .. } => 2,
            Self::Backup(FileError::Backup(BackupError::Passphrase)) => 3,
            Self::Lock(LockError::Io { .. }) => 2,
            Self::Passphrase(_) => 3,
            Self::Key(KeyFileError::Key {
                error: KeyError::Passphrase | KeyError::PassphraseNeeded,
                ..
            }) => 3,
            Self::Lock(LockError::AlreadyRunning)
            | Self::Listen(ListenError::AlreadyRunning(_)) => 4,
            _ => 1,
        }
    }
}
