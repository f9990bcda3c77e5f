//! A named pipe that only the configured users may open. The token of each client is checked as well.

use super::connections::Connections;
use super::{Incoming, ListenError};
use crate::access::{Access, Peer, Users};
use futures::future::BoxFuture;
use m2_proto::socket::{self, PIPE_PREFIX};
use m2_windows::{Descriptor, Sid, Token, directory, pipe};
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::net::windows::named_pipe::NamedPipeServer;

/// The source of the pipe for front-ends.
#[derive(Debug)]
pub enum SocketSource {
    /// The daemon creates the pipe of this name.
    Path(PathBuf),
}

impl SocketSource {
    /// Returns the path at which front-ends find the pipe.
    pub fn path(&self) -> &Path {
        let Self::Path(path) = self;
        path
    }

    /// Creates the pipe for these users. Must be called within a runtime.
    #[allow(clippy::unused_async, reason = "other systems wait for a lock")]
    pub async fn open(self, users: &Users) -> Result<ApiSocket, ListenError> {
        let Self::Path(path) = self;
        ApiSocket::create(path, users)
    }
}

/// A pipe. One instance waits for the next client; each client has an instance of its own.
pub struct ApiSocket {
    path: PathBuf,
    descriptor: Descriptor,
    /// The instance that waits; `None` after it could not be created.
    next: Option<BoxFuture<'static, io::Result<NamedPipeServer>>>,
}

impl ApiSocket {
    /// Creates the pipe, which no other process may have.
    fn create(path: PathBuf, users: &Users) -> Result<Self, ListenError> {
        if !is_pipe(&path) {
            return Err(ListenError::NotAPipe(path));
        }
        if socket::is_too_long(&path) {
            return Err(ListenError::PathTooLong(path));
        }
        let failed = |source: io::Error| match pipe::is_taken(&source) {
            true => ListenError::AlreadyRunning(path.clone()),
            false => ListenError::Io {
                path: path.clone(),
                source,
            },
        };
        let descriptor = users.descriptor().map_err(failed)?;
        let first = pipe::create(&path, &descriptor, true).map_err(failed)?;
        Ok(Self {
            next: Some(waiting(first)),
            path,
            descriptor,
        })
    }

    /// Returns the stream of connections, which are counted in `connections`.
    pub fn incoming(self, connections: Arc<Connections>, access: Arc<Access>) -> Incoming {
        Incoming::new(self, connections, access)
    }

    /// Accepts a connection, with the process at its other end if that shows its identity.
    pub(super) fn poll_accept(
        &mut self,
        cx: &mut Context<'_>,
        users: &Users,
    ) -> Poll<io::Result<(NamedPipeServer, Option<Peer>)>> {
        let mut next = match self.next.take() {
            Some(next) => next,
            None => self.another()?,
        };
        let Poll::Ready(connected) = next.as_mut().poll(cx) else {
            self.next = Some(next);
            return Poll::Pending;
        };
        // The next client must find an instance that waits. If there is none, the next call creates it.
        self.next = self.another().ok();
        let stream = connected.map_err(aborted)?;
        let token = Token::of_client(&stream);
        let peer = token.and_then(|token| users.peer(&token));
        Poll::Ready(Ok((stream, peer.ok())))
    }

    fn another(&self) -> io::Result<BoxFuture<'static, io::Result<NamedPipeServer>>> {
        pipe::create(&self.path, &self.descriptor, false).map(waiting)
    }
}

impl fmt::Debug for ApiSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("ApiSocket");
        shown.field("path", &self.path).finish_non_exhaustive()
    }
}

fn waiting(instance: NamedPipeServer) -> BoxFuture<'static, io::Result<NamedPipeServer>> {
    Box::pin(async move { instance.connect().await.map(|()| instance) })
}

/// Returns the error for a client that closed the connection while it was waiting.
fn aborted(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::BrokenPipe => io::ErrorKind::ConnectionAborted.into(),
        _ => error,
    }
}

fn is_pipe(path: &Path) -> bool {
    let name = path
        .to_str()
        .and_then(|path| path.strip_prefix(PIPE_PREFIX));
    name.is_some_and(|name| !name.is_empty() && !name.contains('\\'))
}

/// Creates a directory that this user, the system and administrators may use. An existing directory is left
/// unchanged.
pub fn make_private_dir(path: &Path) -> io::Result<()> {
    if path.as_os_str().is_empty() || path.is_dir() {
        return Ok(());
    }
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    let own = Token::of_process()?.user()?;
    let accounts = [own, Sid::SYSTEM, Sid::ADMINISTRATORS];
    directory::create(path, &Descriptor::of_directory(&accounts)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_pipes_of_this_computer_have_names_of_pipes() {
        assert!(is_pipe(Path::new(r"\\.\pipe\m2d-work")));
        for other in [
            "",
            r"\\.\pipe\",
            r"\\.\pipe\a\b",
            r"\\host\pipe\m2d",
            r"C:\m2d.sock",
        ] {
            assert!(!is_pipe(Path::new(other)), "{other}");
        }
    }
}
