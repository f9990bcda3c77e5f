//! What carries the datagrams of a socket: a network, or a session with a relay.

use crate::allow_list::AllowList;
use crate::start_padding;
use quinn::AsyncUdpSocket;
use quinn::udp::Transmit;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

/// The socket beneath the engines, and the restrictions of what is sent on it.
#[derive(Clone)]
pub(crate) struct Medium {
    pub(super) socket: Arc<dyn AsyncUdpSocket>,
    room: Room,
    only_to: Option<Arc<AllowList>>,
}

/// The size of datagrams that a medium carries.
#[derive(Clone)]
enum Room {
    Network,
    /// The session with the relay, and the bytes that precede each datagram in it.
    Line(quinn::Connection, usize),
}

impl Medium {
    /// Creates the medium of a network socket, which sends only to the addresses on the list, if there
    /// is one.
    pub(crate) fn network(
        socket: Arc<dyn AsyncUdpSocket>,
        only_to: Option<Arc<AllowList>>,
    ) -> Self {
        Self {
            socket,
            room: Room::Network,
            only_to,
        }
    }

    /// Creates the medium of the sessions that travel over `carrier`, a session with a relay, which
    /// adds `header` bytes to each datagram.
    pub(crate) fn line(
        socket: Arc<dyn AsyncUdpSocket>,
        carrier: quinn::Connection,
        header: usize,
    ) -> Self {
        Self {
            socket,
            room: Room::Line(carrier, header),
            only_to: None,
        }
    }

    /// Sends datagrams, or drops them if their destination is not allowed.
    ///
    /// Errors: those of the socket.
    pub(crate) fn send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        match self.allows(transmit.destination) {
            true => self.socket.try_send(transmit),
            false => Ok(()),
        }
    }

    /// Returns whether datagrams may be sent to an address.
    pub(crate) fn allows(&self, address: SocketAddr) -> bool {
        let list = self.only_to.as_ref();
        list.is_none_or(|list| list.allows(address))
    }

    /// Returns the largest size to which a datagram of a handshake may be padded. On a line only the
    /// first transmission is padded: the other session with the relay may carry less.
    pub(super) fn largest_padded(&self, is_first_transmission: bool) -> usize {
        let largest = start_padding::largest(is_first_transmission);
        match &self.room {
            Room::Network => largest,
            Room::Line(carrier, header) if is_first_transmission => {
                let carried = carrier.max_datagram_size().unwrap_or(0);
                largest.min(carried.saturating_sub(*header))
            }
            Room::Line(..) => 0,
        }
    }
}
