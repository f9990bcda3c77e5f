//! Addresses for QUIC's eyes only: every peer beyond a relay has one.
//!
//! They lie in `fc4d:3200::/24`, of which nothing is ever routed. They are made here, mean
//! something to this process alone, and are never stored, shown or sent.

use crate::wire::line::Channel;
use m2_crypto::line::JoinToken;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6};

const PREFIX: [u8; 3] = [0xfc, 0x4d, 0x32];
const PORT: u16 = 9;

/// Whether an address stands for a peer beyond a relay.
pub const fn is_on_line(address: &SocketAddr) -> bool {
    match address.ip() {
        IpAddr::V4(_) => false,
        IpAddr::V6(address) => {
            let [a, b, c, ..] = address.octets();
            a == PREFIX[0] && b == PREFIX[1] && c == PREFIX[2]
        }
    }
}

/// The address of the peer on `channel` of the carrier with this number. The first 48 bits are
/// the line's, so that what is limited per network is limited per line.
pub(super) fn of(carrier: u32, channel: Channel, line: &JoinToken) -> SocketAddr {
    let [d, e, f, ..] = line.0;
    let [g, h, i, j] = carrier.to_be_bytes();
    let [k, l, m, n] = channel.0.to_be_bytes();
    let [a, b, c] = PREFIX;
    let octets = [a, b, c, d, e, f, g, h, i, j, 0, 0, k, l, m, n];
    SocketAddrV6::new(Ipv6Addr::from(octets), PORT, 0, 0).into()
}

/// The carrier and the channel of an address of [`of`].
pub(super) fn parse(address: &SocketAddr) -> Option<(u32, Channel)> {
    let SocketAddr::V6(v6) = address else {
        return None;
    };
    let [a, b, c, _, _, _, g, h, i, j, _, _, k, l, m, n] = v6.ip().octets();
    ([a, b, c] == PREFIX).then(|| {
        (
            u32::from_be_bytes([g, h, i, j]),
            Channel(u32::from_be_bytes([k, l, m, n])),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_leads_back_to_its_channel() {
        let line = JoinToken([7; 16]);
        let address = of(3, Channel(u32::MAX), &line);
        assert!(is_on_line(&address));
        assert_eq!(parse(&address), Some((3, Channel(u32::MAX))));
        let elsewhere = SocketAddr::from((Ipv6Addr::LOCALHOST, 9));
        assert!(!is_on_line(&elsewhere));
        assert_eq!(parse(&elsewhere), None);
    }
}
