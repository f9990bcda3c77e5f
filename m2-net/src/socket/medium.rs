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
    is_line: bool,
    only_to: Option<Arc<AllowList>>,
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
            is_line: false,
            only_to,
        }
    }

    /// Creates the medium of the sessions that travel over a session with a relay.
    pub(crate) fn line(socket: Arc<dyn AsyncUdpSocket>) -> Self {
        Self {
            socket,
            is_line: true,
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

    /// Returns the largest size to which a datagram of a handshake may be padded. On a line none is: the
    /// session of the other party with the relay may carry no more than a packet of 1,200 bytes.
    pub(super) const fn largest_padded(&self, is_first_transmission: bool) -> usize {
        match self.is_line {
            true => 0,
            false => start_padding::largest(is_first_transmission),
        }
    }
}
