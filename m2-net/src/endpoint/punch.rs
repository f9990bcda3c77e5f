//! Datagrams that say nothing: they open the way back through a NAT (spec §8).

use super::Endpoint;
use crate::line;
use quinn::AsyncUdpSocket;
use quinn::udp::Transmit;
use rand_core::{Rng, UnwrapErr};
use std::net::SocketAddr;

/// How long such a datagram is at least, and how much longer at most, bytes.
const SHORTEST: usize = 48;
const SPREAD: usize = 128;

/// The longest such datagram, bytes.
pub const LONGEST_PUNCH: usize = SHORTEST + SPREAD;

impl Endpoint {
    /// Sends one datagram of random bytes and length from the socket on which calls from `to`
    /// would arrive, so that a NAT on the way lets them in. The receiver drops it in silence.
    /// Says whether it was sent.
    pub fn punch(&self, to: SocketAddr) -> bool {
        if line::is_on_line(&to) || *self.closed.borrow() {
            return false;
        }
        let socket = self.place_for(to).and_then(|place| self.raw.get(place));
        let Some(socket) = socket else {
            return false;
        };
        let mut rng = UnwrapErr(getrandom::SysRng);
        let mut bytes = [0; LONGEST_PUNCH];
        rng.fill_bytes(&mut bytes);
        let length = SHORTEST + rng.next_u32() as usize % SPREAD;
        let sent = socket.try_send(&Transmit {
            destination: to,
            ecn: None,
            contents: bytes.get(..length).unwrap_or_default(),
            segment_size: None,
            src_ip: None,
        });
        sent.is_ok()
    }
}
