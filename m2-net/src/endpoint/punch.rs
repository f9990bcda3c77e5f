//! Hole punching: random datagrams that open a NAT for the peer's packets
//! (docs/spec/reach.md#meeting).

use super::Endpoint;
use crate::line;
use rand_core::{Rng, UnwrapErr};
use std::net::SocketAddr;

/// The smallest size of such a datagram, and the size of the random range above it, in bytes.
const SHORTEST: usize = 48;
const SPREAD: usize = 128;

/// An upper bound of the size of such a datagram, in bytes.
pub const LONGEST_PUNCH: usize = SHORTEST + SPREAD;

impl Endpoint {
    /// Sends one datagram of random bytes and length from the socket on which connection attempts
    /// from `to` would arrive, so that a NAT on the path lets them in. The receiver drops it
    /// silently. Returns whether it was sent.
    pub fn punch(&self, to: SocketAddr) -> bool {
        if line::is_on_line(&to) || *self.closed.borrow() {
            return false;
        }
        let place = self.place_for(to);
        let Some(socket) = place.and_then(|place| self.sockets.get(place)) else {
            return false;
        };
        let mut rng = UnwrapErr(getrandom::SysRng);
        let mut bytes = [0; LONGEST_PUNCH];
        rng.fill_bytes(&mut bytes);
        let length = SHORTEST + rng.next_u32() as usize % SPREAD;
        socket.send_plain(to, bytes.get(..length).unwrap_or_default())
    }
}
