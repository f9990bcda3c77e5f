//! A Unix socket of mode 0600 in a directory of mode 0700. The caller's user is checked as well.

use super::ListenError;
use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::net::{UnixListener, UnixStream};
use tokio_stream::Stream;

/// The bound socket. Its file is removed when this is dropped.
#[derive(Debug)]
pub struct ApiSocket {
    path: PathBuf,
    listener: Option<UnixListener>,
}

impl ApiSocket {
    /// Binds `path`. A file that a dead daemon left is replaced; a living one is respected.
    pub fn bind(path: &Path) -> Result<Self, ListenError> {
        let failed = |source| ListenError::Io {
            path: path.to_owned(),
            source,
        };
        if let Some(directory) = path.parent() {
            make_private_dir(directory).map_err(failed)?;
        }
        if std::os::unix::net::UnixStream::connect(path).is_ok() {
            return Err(ListenError::AlreadyRunning(path.to_owned()));
        }
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
        let listener = UnixListener::bind(path).map_err(failed)?;
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).map_err(failed)?;
        Ok(Self {
            path: path.to_owned(),
            listener: Some(listener),
        })
    }

    /// The connections of callers that are allowed. Only the first call gives any.
    pub fn incoming(&mut self) -> Option<Incoming> {
        Some(Incoming {
            listener: self.listener.take()?,
            own_uid: own_uid(),
        })
    }
}

impl Drop for ApiSocket {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// Connections from the daemon's own user or root; others are closed at once.
#[derive(Debug)]
pub struct Incoming {
    listener: UnixListener,
    own_uid: u32,
}

impl Stream for Incoming {
    type Item = io::Result<UnixStream>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            let stream = match self.listener.poll_accept(cx) {
                Poll::Ready(Ok((stream, _))) => stream,
                Poll::Ready(Err(error)) => return Poll::Ready(Some(Err(error))),
                Poll::Pending => return Poll::Pending,
            };
            let uid = stream.peer_cred().map(|cred| cred.uid());
            if uid.is_ok_and(|uid| uid == self.own_uid || uid == 0) {
                return Poll::Ready(Some(Ok(stream)));
            }
            tracing::warn!("a caller of another user was turned away");
        }
    }
}

fn own_uid() -> u32 {
    // A socket pair with ourselves names us without unsafe code.
    UnixStream::pair()
        .and_then(|(one, _other)| one.peer_cred())
        .map_or(u32::MAX, |cred| cred.uid())
}

/// Makes a directory that only its user may enter. One that is there already is left as it is.
pub fn make_private_dir(directory: &Path) -> io::Result<()> {
    if directory.as_os_str().is_empty() || directory.is_dir() {
        return Ok(());
    }
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)
}
