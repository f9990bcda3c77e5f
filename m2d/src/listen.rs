//! The local socket on which front-ends connect.

mod authority;
mod connections;
mod descriptors;
mod incoming;
#[cfg(unix)]
mod passed;
#[cfg(windows)]
mod pipe;
mod stream;
#[cfg(unix)]
mod unix;

pub use authority::AuthorityFilter;
pub use connections::Connections;
pub use descriptors::raise_limit;
pub use incoming::Incoming;
#[cfg(unix)]
pub use passed::{PassedSocket, passed_socket};
#[cfg(windows)]
pub use pipe::{ApiSocket, SocketSource, make_private_dir};
pub use stream::ApiStream;
#[cfg(unix)]
pub use unix::{ApiSocket, SocketSource, make_private_dir};

/// The connection of a front-end as the system accepts it.
#[cfg(unix)]
type Socket = tokio::net::UnixStream;
/// The connection of a front-end as the system accepts it.
#[cfg(windows)]
type Socket = tokio::net::windows::named_pipe::NamedPipeServer;

use m2_proto::socket::MAX_PATH_BYTES;
#[cfg(windows)]
use m2_proto::socket::PIPE_PREFIX;
use std::io;
use std::path::PathBuf;
use thiserror::Error;

/// The socket can't be created.
#[derive(Debug, Error)]
pub enum ListenError {
    /// Another program answers at this path. Exit code 4.
    #[error("Another program listens on {0}: end it, or choose another path with --socket")]
    AlreadyRunning(PathBuf),
    /// A file at this path is not a socket.
    #[error(
        "{0} exists and is not a socket; nothing was changed. Choose another path with --socket"
    )]
    NotASocket(PathBuf),
    /// A socket of another user is at this path.
    #[error(
        "{0} is a socket of another user; nothing was changed. Choose another path with --socket"
    )]
    NotOurs(PathBuf),
    /// A path is not the name of a pipe.
    #[cfg(windows)]
    #[error("{} is not the name of a pipe. Name one with --socket, such as {PIPE_PREFIX}m2d-work", .0.display())]
    NotAPipe(PathBuf),
    /// The path is too long for a Unix socket.
    #[error(
        "The socket path {} is {} bytes long; at most {MAX_PATH_BYTES} are possible. \
         Choose a shorter one with --socket",
        .0.display(),
        .0.as_os_str().len()
    )]
    PathTooLong(PathBuf),
    /// The service manager passed other sockets than the one that the daemon needs. Contains what it
    /// passed.
    #[error(
        "The service manager passed {0}, but the daemon needs one listening Unix stream socket. \
         Correct the socket unit, which needs one ListenStream= with a path, or the Sockets of the \
         launchd job"
    )]
    Passed(String),
    /// An option names a socket although the service manager passed one.
    #[error(
        "--socket names {0}, but the service manager passed another socket: remove --socket, or stop \
         and disable the socket unit"
    )]
    NamedToo(PathBuf),
    /// The socket or its directory can't be created.
    #[error("Can't listen on {path}: {source}")]
    Io {
        /// The socket's path.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
}
