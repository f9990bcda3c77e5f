//! The local socket on which front-ends call.

#[cfg(unix)]
mod unix;

#[cfg(unix)]
pub use unix::{ApiSocket, Incoming, make_private_dir};

use std::io;
use std::path::PathBuf;
use thiserror::Error;

/// The socket can't be made.
#[derive(Debug, Error)]
pub enum ListenError {
    /// Another daemon answers there. Exit code 4.
    #[error("another m2d listens on {0}")]
    AlreadyRunning(PathBuf),
    /// The path is too long, or its directory can't be used.
    #[error("can't listen on {path}: {source}")]
    Io {
        /// The socket's path.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}
