//! Synthetic addresses, used inside QUIC only: each peer beyond a relay has one.
//!
//! They lie in `fc4d:3200::/24`, which is never routed. They are created here, are valid only in
//! this process, and are never stored, shown or sent (`docs/spec/line.md#packets`).

use crate::wire::line::Channel;
use m2_crypto::line::JoinToken;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6};

const PREFIX: [u8; 3] = [0xfc, 0x4d, 0x32];
const PORT: u16 = 9;

/// Returns whether an address is the synthetic address of a peer beyond a relay.
pub const fn is_on_line(address: &SocketAddr) -> bool {
    match address.ip() {
        IpAddr::V4(_) => false,
        IpAddr::V6(address) => {
            let [a, b, c, ..] = address.octets();
            a == PREFIX[0] && b == PREFIX[1] && c == PREFIX[2]
        }
    }
}

/// Returns the address of the peer on `channel` of the carrier with this number. The first 48 bits
/// identify the line, so that limits per network apply per line.
pub(crate) fn of(carrier: u32, channel: Channel, line: &JoinToken) -> SocketAddr {
    let [d, e, f, ..] = line.0;
    let [g, h, i, j] = carrier.to_be_bytes();
    let [k, l, m, n] = channel.0.to_be_bytes();
    let [a, b, c] = PREFIX;
    let octets = [a, b, c, d, e, f, g, h, i, j, 0, 0, k, l, m, n];
    SocketAddrV6::new(Ipv6Addr::from(octets), PORT, 0, 0).into()
}

/// Returns the carrier and the channel of an address made by [`of`].
pub(crate) fn parse(address: &SocketAddr) -> Option<(u32, Channel)> {
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
