//! The host's own addresses.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

/// The address from which this host would reach the Internet, and the loopback address when
/// there is none. Nothing is sent: connecting a UDP socket only asks the routing table.
pub fn addresses(ipv4: bool) -> Vec<IpAddr> {
    let (any, somewhere, loopback): (SocketAddr, SocketAddr, IpAddr) = if ipv4 {
        (
            (Ipv4Addr::UNSPECIFIED, 0).into(),
            // TEST-NET-1: routed like any other address, used by nobody.
            (Ipv4Addr::new(192, 0, 2, 1), 9).into(),
            Ipv4Addr::LOCALHOST.into(),
        )
    } else {
        (
            (Ipv6Addr::UNSPECIFIED, 0).into(),
            (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1), 9).into(),
            Ipv6Addr::LOCALHOST.into(),
        )
    };
    let outward = UdpSocket::bind(any)
        .and_then(|socket| socket.connect(somewhere).and_then(|()| socket.local_addr()));
    match outward {
        Ok(address) if !address.ip().is_unspecified() => vec![address.ip()],
        _ => vec![loopback],
    }
}
