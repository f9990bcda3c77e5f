//! The local socket on which front-ends call.

mod authority;
mod connections;
mod descriptors;
#[cfg(unix)]
mod incoming;
#[cfg(unix)]
mod stream;
#[cfg(unix)]
mod unix;

pub use authority::AuthorityFilter;
pub use connections::Connections;
pub use descriptors::raise_limit;
#[cfg(unix)]
pub use incoming::Incoming;
#[cfg(unix)]
pub use stream::ApiStream;
#[cfg(unix)]
pub use unix::{ApiSocket, make_private_dir};

use m2_proto::socket::MAX_PATH_BYTES;
use std::io;
use std::path::PathBuf;
use thiserror::Error;

/// The socket can't be made.
#[derive(Debug, Error)]
pub enum ListenError {
    /// Another program answers there. Exit code 4.
    #[error("Another program listens on {0}: end it, or choose another path with --socket")]
    AlreadyRunning(PathBuf),
    /// A file that is no socket has this path.
    #[error("{0} exists and is no socket; nothing was changed. Choose another path with --socket")]
    NotASocket(PathBuf),
    /// A socket of another user has this path.
    #[error(
        "{0} is a socket of another user; nothing was changed. Choose another path with --socket"
    )]
    NotOurs(PathBuf),
    /// No Unix socket can have such a path.
    #[error(
        "The socket path {} is {} bytes long; at most {MAX_PATH_BYTES} are possible. \
         Choose a shorter one with --socket",
        .0.display(),
        .0.as_os_str().len()
    )]
    PathTooLong(PathBuf),
    /// The socket or its directory can't be made.
    #[error("Can't listen on {path}: {source}")]
    Io {
        /// The socket's path.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}
