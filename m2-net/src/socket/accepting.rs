//! The socket of the accepting engine. It reads the datagrams of all engines of its medium.

use super::medium::Medium;
use super::outgoing::Outgoing;
use super::reset_suppressor::ResetSuppressor;
use crate::dialled::ENGINES;
use crate::gate::Gate;
use crate::inbox::Inbox;
use crate::sorter::{Engine, Sorter};
use crate::sources::Sources;
use m2_crypto::obfuscation::Obfuscator;
use quinn::udp::{RecvMeta, Transmit};
use quinn::{AsyncUdpSocket, UdpPoller};
use std::fmt;
use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

/// A socket that obfuscates outgoing datagrams under the local key. It reveals and sorts incoming ones
/// of all engines, and keeps those that the gate of the accepting engine passes.
pub(crate) struct AcceptingSocket {
    medium: Medium,
    own: Arc<Obfuscator>,
    gate: Arc<Gate>,
    sorter: Sorter,
    inboxes: [Arc<Inbox>; ENGINES],
    sources: Sources,
    primer: ResetSuppressor,
}

impl AcceptingSocket {
    /// Creates the socket. `inboxes` are those of the dialling engines, and `own_id` is a connection
    /// id of the accepting engine that is not used by any connection.
    pub(crate) fn new(
        medium: Medium,
        own: Arc<Obfuscator>,
        gate: Arc<Gate>,
        sorter: Sorter,
        inboxes: [Arc<Inbox>; ENGINES],
        own_id: &[u8],
    ) -> io::Result<Self> {
        let primer = ResetSuppressor::new(medium.socket.local_addr()?, own_id);
        Ok(Self {
            medium,
            own,
            gate,
            sorter,
            inboxes,
            sources: Sources::default(),
            primer,
        })
    }

    /// Sorts the datagrams of one receive buffer, and moves those of the accepting engine to its
    /// front. Returns how many bytes remain.
    ///
    /// All datagrams except the last are `stride` bytes long, and so are those that remain.
    fn sift(&self, buffer: &mut [u8], meta: &RecvMeta) -> usize {
        let (stride, keys) = (meta.stride.max(1), self.sorter.keys(meta.addr));
        let (mut from, mut kept) = (0, 0);
        while from < buffer.len() {
            let to = buffer.len().min(from.saturating_add(stride));
            let datagram = buffer.get_mut(from..to).unwrap_or_default();
            match self.sorter.sort(datagram, meta.addr, &keys) {
                Some(Engine::Accepting) => {
                    self.note(datagram, meta.addr);
                    if kept != from {
                        buffer.copy_within(from..to, kept);
                    }
                    kept += to - from;
                }
                Some(Engine::Dialling(engine)) => {
                    if let Some(inbox) = self.inboxes.get(engine.index()) {
                        inbox.push(datagram, meta);
                    }
                }
                None => {}
            }
            from = to;
        }
        kept
    }

    /// Records a datagram of a handshake.
    fn note(&self, datagram: &[u8], source: SocketAddr) {
        if !super::has_long_header(datagram) {
            return;
        }
        self.sources.received(source, datagram.len());
        // The sender read this id in an answer.
        if self.gate.is_to_local_id(datagram) {
            self.sources.proved(source);
        }
    }
}

impl AsyncUdpSocket for AcceptingSocket {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Arc::clone(&self.medium.socket).create_io_poller()
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        let destination = transmit.destination;
        if self.primer.is_from(destination) {
            return Ok(());
        }
        let outgoing = Outgoing {
            medium: &self.medium,
            gate: &self.gate,
            key: &self.own,
            largest: &|| self.sources.largest(destination),
            allows: &|bytes| self.sources.allows(destination, bytes),
            sent: &|bytes| self.sources.sent(destination, bytes),
        };
        outgoing.send(transmit)
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
        metas: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        if let Some(count) = self.primer.receive(buffers, metas) {
            return Poll::Ready(Ok(count));
        }
        let received = match self.medium.socket.poll_recv(cx, buffers, metas) {
            Poll::Ready(Ok(received)) => received,
            other => return other,
        };
        for (buffer, meta) in buffers.iter_mut().zip(metas.iter_mut()).take(received) {
            let filled = buffer.get_mut(..meta.len).unwrap_or_default();
            let bytes = filled.len();
            meta.len = self.sift(filled, meta);
            tracing::trace!(bytes, kept = meta.len, "datagrams arrived");
        }
        Poll::Ready(Ok(received))
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.medium.socket.local_addr()
    }

    fn max_transmit_segments(&self) -> usize {
        self.medium.socket.max_transmit_segments()
    }

    fn max_receive_segments(&self) -> usize {
        self.medium.socket.max_receive_segments()
    }

    fn may_fragment(&self) -> bool {
        self.medium.socket.may_fragment()
    }
}

impl fmt::Debug for AcceptingSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AcceptingSocket(..)")
    }
}
