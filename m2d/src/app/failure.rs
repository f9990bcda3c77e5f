//! The reasons for which the daemon fails, and their exit codes.

use crate::ask::AskError;
use crate::config::ConfigError;
use crate::key_file::KeyFileError;
use crate::listen::ListenError;
use crate::lock::LockError;
use crate::pair::PairError;
use crate::paths::NoHome;
use crate::unlock::PassphraseError;
use m2_backup::FileError;
use m2_crypto::KeyError;
use m2_crypto::backup::BackupError;
use m2_mailbox::store::MailboxError;
use m2_store::StoreError;
use std::io::{self, ErrorKind};
use std::path::PathBuf;
use thiserror::Error;

/// The reason for which the daemon or a command failed.
#[derive(Debug, Error)]
pub enum Failure {
    /// An option or a configured value is invalid.
    #[error("{0}")]
    Usage(String),
    /// The configuration is invalid.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// No home directory is known and no path was given.
    #[error(transparent)]
    NoHome(#[from] NoHome),
    /// The data directory can't be created or used.
    #[error(
        "{path} can't be used: {source}. The daemon must be able to read and write its data \
         directory and every file in it."
    )]
    DataDir {
        /// The directory, or the file in it.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// Another daemon runs on this data directory, or the lock can't be taken.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The socket for front-ends can't be created.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// The service can't be installed, removed or run.
    #[cfg(windows)]
    #[error(transparent)]
    Service(#[from] crate::service::ServiceError),
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
        /// The file that exists already.
        found: PathBuf,
    },
    /// The user supplied no usable passphrase.
    #[error(transparent)]
    Ask(#[from] AskError),
    /// The identity can't be opened or created.
    #[error(transparent)]
    Key(#[from] KeyFileError),
    /// The data directory holds a key without its store, or a store without its key.
    #[error(transparent)]
    Pair(#[from] PairError),
    /// The store can't be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The store of the mailbox role can't be opened.
    #[error("The store of the mailbox role can't be opened: {0}.")]
    Mailbox(#[from] MailboxError),
    /// The UDP sockets can't be bound.
    #[error(
        "The UDP address {0}. End the program that uses it, or set another one in [network] \
         listen or with --listen."
    )]
    Bind(io::Error),
    /// Serving the API failed.
    #[error("The API can't be served: {0}.")]
    Api(String),
    /// `m2d check` found damage.
    #[error(
        "The store is damaged. Stop the daemon, keep a copy of the data directory, and restore a \
         backup with `m2d restore`."
    )]
    Unsound,
    /// `m2d check` finds no identity or no store.
    #[error("There is no {0}: nothing can be checked. Give the data directory with --data-dir.")]
    Missing(PathBuf),
    /// Threads can't be started.
    #[error("Threads can't be started: {0}.")]
    Runtime(io::Error),
    /// Standard output can't be written.
    #[error("The result can't be printed: {0}.")]
    Output(io::Error),
    /// An essential part of the daemon has ended.
    #[error("A part of the daemon failed: {0}. Start it again, and report what the log says.")]
    Ended(&'static str),
}

impl Failure {
    /// Returns the process's exit code, as listed by `m2d --help`.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) | Self::Config(_) | Self::NoHome(_) | Self::Missing(_) => 2,
            Self::Ask(_) | Self::Pair(_) | Self::Taken { .. } => 2,
            Self::Backup(FileError::Backup(BackupError::Passphrase)) => 3,
            Self::DataDir { source, .. }
            | Self::Lock(LockError::Io { source, .. })
            | Self::Listen(ListenError::Io { source, .. })
            | Self::Key(KeyFileError::Io { source, .. }) => match source.kind() {
                ErrorKind::StorageFull | ErrorKind::QuotaExceeded => 1,
                _ => 2,
            },
            Self::Passphrase(_) => 3,
            Self::Key(KeyFileError::Key {
                error: KeyError::Passphrase | KeyError::PassphraseNeeded,
                ..
            }) => 3,
            Self::Lock(LockError::AlreadyRunning(_))
            | Self::Listen(ListenError::AlreadyRunning(_)) => 4,
            Self::Listen(_) => 2,
            #[cfg(windows)]
            Self::Service(_) => 2,
            Self::Key(KeyFileError::Key { .. }) | Self::Unsound => 5,
            Self::Store(error) => of_store(error.is_permanent()),
            Self::Mailbox(error) => of_store(error.is_permanent()),
            Self::Bind(error) => match error.kind() {
                ErrorKind::AddrInUse => 6,
                ErrorKind::PermissionDenied => 2,
                // The network interface may come up later.
                _ => 1,
            },
            Self::Ended(_) => 7,
            Self::Backup(_) | Self::Api(_) | Self::Runtime(_) | Self::Output(_) => 1,
        }
    }

    /// Returns whether a retry can't help, because the user must act first.
    pub fn is_permanent(&self) -> bool {
        (2..=6).contains(&self.exit_code())
    }
}

const fn of_store(is_permanent: bool) -> u8 {
    if is_permanent { 5 } else { 1 }
}
