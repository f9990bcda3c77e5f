//! The gateway's sockets.

#[cfg(unix)]
mod unix;

use crate::args::Listen;
use std::io;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
#[cfg(unix)]
use tokio::net::UnixListener;

/// A bound socket.
#[derive(Debug)]
pub(crate) enum Listener {
    Tcp(TcpListener),
    #[cfg(unix)]
    Unix(UnixListener),
}

/// A connection of a program.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// Binds a socket. A Unix socket on which no program listens is replaced.
///
/// Errors: those of the system.
pub(crate) async fn bind(listen: &Listen) -> io::Result<Listener> {
    match listen {
        Listen::Tcp(address) => Ok(Listener::Tcp(TcpListener::bind(address).await?)),
        #[cfg(unix)]
        Listen::Unix(path) => Ok(Listener::Unix(unix::bind(path).await?)),
        #[cfg(windows)]
        Listen::Unix(_) => Err(io::Error::new(
            io::ErrorKind::Unsupported,
            "Windows has no Unix sockets for this gateway; name a loopback address",
        )),
    }
}

impl Listener {
    /// Accepts a connection. Cancel-safe.
    pub(crate) async fn accept(&self) -> io::Result<Box<dyn Stream>> {
        Ok(match self {
            Self::Tcp(listener) => {
                let (stream, _) = listener.accept().await?;
                stream.set_nodelay(true)?;
                Box::new(stream)
            }
            #[cfg(unix)]
            Self::Unix(listener) => Box::new(listener.accept().await?.0),
        })
    }
}
