//! Connections to a Unix socket.

use super::ConnectError;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::net::UnixStream;

/// How long to wait before trying again when the daemon's queue of new connections is full.
const QUEUE_PAUSE: Duration = Duration::from_millis(50);

/// Connects to the socket, and waits while the daemon's queue of new connections is full.
pub(super) async fn dial(path: &Path) -> io::Result<UnixStream> {
    loop {
        match UnixStream::connect(path).await {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                tokio::time::sleep(QUEUE_PAUSE).await;
            }
            other => return other,
        }
    }
}

/// Returns whether an error means that no program listens.
pub(super) fn is_absence(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::NotFound | ErrorKind::ConnectionRefused | ErrorKind::NotADirectory
    )
}

/// Accepts every owner: the directories of the default places belong to this user or to root.
#[allow(clippy::unnecessary_wraps, reason = "other systems return an error")]
pub(super) fn check_owner(_: &UnixStream, _: PathBuf) -> Result<(), ConnectError> {
    Ok(())
}
