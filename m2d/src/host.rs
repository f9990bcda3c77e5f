//! The host's own addresses.

use m2_discovery::interfaces;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

/// Returns the source address that this host uses to reach the Internet in one address family.
/// Without a route to the Internet, returns the addresses of all interfaces except loopback.
pub fn addresses(ipv4: bool) -> Vec<IpAddr> {
    if let Some(outward) = outward(ipv4) {
        return vec![outward];
    }
    let mut own = interfaces::usable(false);
    own.retain(|ip| ip.is_ipv4() == ipv4);
    own
}

/// Sends nothing: connecting a UDP socket only consults the routing table.
fn outward(ipv4: bool) -> Option<IpAddr> {
    let (any, somewhere): (SocketAddr, SocketAddr) = if ipv4 {
        (
            (Ipv4Addr::UNSPECIFIED, 0).into(),
            // TEST-NET-1: routed like any other address, but assigned to no host.
            (Ipv4Addr::new(192, 0, 2, 1), 9).into(),
        )
    } else {
        (
            (Ipv6Addr::UNSPECIFIED, 0).into(),
            (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1), 9).into(),
        )
    };
    let socket = UdpSocket::bind(any).ok()?;
    socket.connect(somewhere).ok()?;
    let ip = socket.local_addr().ok()?.ip();
    (!ip.is_unspecified()).then_some(ip)
}
