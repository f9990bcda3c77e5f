//! The gateway's Unix socket.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::Path;
use tokio::net::{UnixListener, UnixStream};

/// Binds a socket with mode 0660. One on which no program listens is replaced.
///
/// Errors: those of the system.
pub(super) async fn bind(path: &Path) -> io::Result<UnixListener> {
    remove_stale(path).await?;
    let listener = UnixListener::bind(path)?;
    fs::set_permissions(path, Permissions::from_mode(0o660))?;
    Ok(listener)
}

async fn remove_stale(path: &Path) -> io::Result<()> {
    let Ok(metadata) = fs::symlink_metadata(path) else {
        return Ok(());
    };
    let is_socket = metadata.file_type().is_socket();
    let connected = UnixStream::connect(path).await;
    let is_refused = connected.is_err_and(|it| it.kind() == io::ErrorKind::ConnectionRefused);
    if is_socket && is_refused {
        fs::remove_file(path)?;
    }
    Ok(())
}
