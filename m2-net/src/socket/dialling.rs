//! The socket of a dialling engine.

use super::medium::Medium;
use super::outgoing::Outgoing;
use super::reset_suppressor::ResetSuppressor;
use crate::dialled::{DialEngine, Dialled};
use crate::gate::Gate;
use crate::inbox::Inbox;
use crate::start_padding;
use quinn::udp::{RecvMeta, Transmit};
use quinn::{AsyncUdpSocket, UdpPoller};
use std::fmt;
use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

/// A socket that obfuscates outgoing datagrams under the key of the peer that is dialled at their
/// destination. The accepting engine of the same medium reads for it.
pub(crate) struct DiallingSocket {
    medium: Medium,
    engine: DialEngine,
    dialled: Arc<Dialled>,
    gate: Arc<Gate>,
    inbox: Arc<Inbox>,
    primer: ResetSuppressor,
    largest: usize,
    /// Keeps the engine that reads alive, for sessions that outlive their endpoint.
    _reader: quinn::Endpoint,
}

impl DiallingSocket {
    /// Creates the socket of one engine. `reader` is the accepting engine of the medium, and `own_id`
    /// is a connection id of this engine that is not used by any connection.
    pub(crate) fn new(
        medium: Medium,
        engine: DialEngine,
        dialled: Arc<Dialled>,
        gate: Arc<Gate>,
        inbox: Arc<Inbox>,
        reader: quinn::Endpoint,
        own_id: &[u8],
    ) -> io::Result<Self> {
        let primer = ResetSuppressor::new(medium.socket.local_addr()?, own_id);
        Ok(Self {
            medium,
            engine,
            dialled,
            gate,
            inbox,
            primer,
            largest: start_padding::largest(true),
            _reader: reader,
        })
    }

    /// Sets whether first packets that are not answered are sent again. If not, they are padded only
    /// to a size that every path carries.
    pub(crate) const fn retransmits(mut self, retransmits: bool) -> Self {
        self.largest = start_padding::largest(retransmits);
        self
    }
}

impl AsyncUdpSocket for DiallingSocket {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Arc::clone(&self.medium.socket).create_io_poller()
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        if self.primer.is_from(transmit.destination) {
            return Ok(());
        }
        // Each connection of this engine has a lease.
        let Some(key) = self.dialled.key(transmit.destination, self.engine) else {
            return Ok(());
        };
        let outgoing = Outgoing {
            medium: &self.medium,
            gate: &self.gate,
            key: &key,
            largest: &|| self.largest,
            allows: &|_| true,
            sent: &|_| {},
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
        self.inbox.poll(cx, buffers, metas).map(Ok)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.medium.socket.local_addr()
    }

    fn max_transmit_segments(&self) -> usize {
        self.medium.socket.max_transmit_segments()
    }

    fn may_fragment(&self) -> bool {
        self.medium.socket.may_fragment()
    }
}

impl fmt::Debug for DiallingSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DiallingSocket(..)")
    }
}
