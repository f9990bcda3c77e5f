//! The connection of a front-end.

use super::Socket;
use super::authority::AuthorityFilter;
use super::connections::Connection;
use crate::access::Peer;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tonic::transport::server::Connected;

/// The number of bytes read from the socket at once.
const CHUNK: usize = 8 * 1024;

/// A connection that replaces the authority of every request by a name that the HTTP/2 library
/// accepts (docs/adr/0012-any-authority.md).
#[derive(Debug)]
pub struct ApiStream {
    inner: Socket,
    /// `None` if the system does not report it.
    peer: Option<Peer>,
    filter: AuthorityFilter,
    filtered: Vec<u8>,
    taken: usize,
    _connection: Connection,
}

impl ApiStream {
    pub(super) fn new(inner: Socket, peer: Option<Peer>, connection: Connection) -> Self {
        Self {
            inner,
            peer,
            filter: AuthorityFilter::default(),
            filtered: Vec::new(),
            taken: 0,
            _connection: connection,
        }
    }

    /// Copies filtered bytes into `buffer`. Returns false if there are none.
    fn hand_out(&mut self, buffer: &mut ReadBuf<'_>) -> bool {
        let rest = self.filtered.get(self.taken..).unwrap_or_default();
        let count = rest.len().min(buffer.remaining());
        let Some(now) = rest.get(..count).filter(|now| !now.is_empty()) else {
            return false;
        };
        buffer.put_slice(now);
        self.taken += count;
        if self.taken == self.filtered.len() {
            self.filtered.clear();
            self.taken = 0;
        }
        true
    }
}

impl AsyncRead for ApiStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if buffer.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        while !this.hand_out(buffer) {
            let mut chunk = [0; CHUNK];
            let mut chunk = ReadBuf::new(&mut chunk);
            ready!(Pin::new(&mut this.inner).poll_read(cx, &mut chunk))?;
            if chunk.filled().is_empty() {
                this.filter.end(&mut this.filtered);
                this.hand_out(buffer);
                break;
            }
            this.filter.push(chunk.filled(), &mut this.filtered);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for ApiStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().inner).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().inner).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_shutdown(cx)
    }
}

impl Connected for ApiStream {
    type ConnectInfo = Option<Peer>;

    fn connect_info(&self) -> Self::ConnectInfo {
        self.peer.clone()
    }
}
