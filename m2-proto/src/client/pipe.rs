//! Connections to a named pipe.

use super::ConnectError;
use crate::socket;
use m2_windows::pipe;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::net::windows::named_pipe::NamedPipeClient;

/// How long to wait before trying again when every instance of the pipe has a client.
const BUSY_PAUSE: Duration = Duration::from_millis(20);

/// Connects to the pipe, and waits while every instance of it has a client.
pub(super) async fn dial(path: &Path) -> io::Result<NamedPipeClient> {
    loop {
        match pipe::connect(path) {
            Err(error) if pipe::is_busy(&error) => tokio::time::sleep(BUSY_PAUSE).await,
            other => return other,
        }
    }
}

/// Returns whether an error means that no program listens.
pub(super) fn is_absence(error: &io::Error) -> bool {
    error.kind() == ErrorKind::NotFound
}

/// Refuses a pipe at a default place that was created by an account from which no daemon is expected there.
pub(super) fn check_owner(stream: &NamedPipeClient, path: PathBuf) -> Result<(), ConnectError> {
    match pipe::owner(stream) {
        Ok(owner) if socket::is_trusted(&path, &owner) => Ok(()),
        Ok(owner) => Err(ConnectError::Untrusted {
            path,
            owner: owner.to_string(),
        }),
        Err(source) => Err(ConnectError::Io { path, source }),
    }
}
