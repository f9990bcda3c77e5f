//! A UDP socket that needs no more of the system than sending and receiving one datagram. It takes the place
//! of QUIC's own socket where the system refuses the options that that one needs, as old networking stacks
//! do: there is no segmentation offload and no ECN, and without control over fragmentation packets keep
//! the size that every path carries.

use quinn::udp::{RecvMeta, Transmit};
use quinn::{AsyncUdpSocket, UdpPoller};
use std::fmt;
use std::future::Future;
use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::io::ReadBuf;
use tokio::net::UdpSocket;

/// The socket.
#[derive(Debug)]
pub(super) struct PlainSocket(UdpSocket);

/// Waits until the socket can be written. Each connection has one, with a waker of its own.
struct Poller {
    socket: Arc<PlainSocket>,
    waits: Option<Pin<Box<dyn Future<Output = io::Result<()>> + Send + Sync>>>,
}

impl PlainSocket {
    /// Takes a non-blocking socket. Must be called within a runtime.
    ///
    /// Errors: those of the system.
    pub(super) fn new(socket: std::net::UdpSocket) -> io::Result<Self> {
        UdpSocket::from_std(socket).map(Self)
    }
}

impl AsyncUdpSocket for PlainSocket {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Box::pin(Poller {
            socket: self,
            waits: None,
        })
    }

    /// As with QUIC's own socket, a datagram that can't be sent is lost, unless there is no room for it.
    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        match self.0.try_send_to(transmit.contents, transmit.destination) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Err(error),
            Err(error) => {
                tracing::debug!(kind = ?error.kind(), "a datagram could not be sent");
                Ok(())
            }
            Ok(_) => Ok(()),
        }
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
        metas: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        let (Some(buffer), Some(meta)) = (buffers.first_mut(), metas.first_mut()) else {
            return Poll::Ready(Ok(0));
        };
        let mut read = ReadBuf::new(buffer);
        let source = ready!(self.0.poll_recv_from(cx, &mut read))?;
        let length = read.filled().len();
        *meta = RecvMeta::default();
        (meta.addr, meta.len, meta.stride) = (source, length, length);
        Poll::Ready(Ok(1))
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }

    fn may_fragment(&self) -> bool {
        true
    }
}

impl UdpPoller for Poller {
    fn poll_writable(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let waits = this.waits.get_or_insert_with(|| {
            let socket = Arc::clone(&this.socket);
            Box::pin(async move { socket.0.writable().await })
        });
        let result = ready!(waits.as_mut().poll(cx));
        this.waits = None;
        Poll::Ready(result)
    }
}

impl fmt::Debug for Poller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Poller(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;

    fn bound() -> Arc<PlainSocket> {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_nonblocking(true).unwrap();
        Arc::new(PlainSocket::new(socket).unwrap())
    }

    #[tokio::test]
    async fn a_datagram_arrives_with_its_source() {
        let (from, to) = (bound(), bound());
        let transmit = Transmit {
            destination: to.local_addr().unwrap(),
            ecn: None,
            contents: b"datagram",
            segment_size: None,
            src_ip: None,
        };
        let mut poller = Arc::clone(&from).create_io_poller();
        poll_fn(|cx| poller.as_mut().poll_writable(cx))
            .await
            .unwrap();
        from.try_send(&transmit).unwrap();
        let (mut buffer, mut metas) = ([0; 64], [RecvMeta::default()]);
        let mut buffers = [IoSliceMut::new(&mut buffer)];
        let received = poll_fn(|cx| to.poll_recv(cx, &mut buffers, &mut metas));
        assert_eq!(received.await.unwrap(), 1);
        assert_eq!(metas[0].addr, from.local_addr().unwrap());
        assert_eq!(buffer[..metas[0].len], *b"datagram");
        assert_eq!(metas[0].stride, metas[0].len);
    }
}
