//! The host's default gateway.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};

/// Returns the IPv4 gateway of the default route with the lowest metric. Linux only; `None`
/// elsewhere.
pub fn default_gateway() -> Option<Ipv4Addr> {
    #[cfg(target_os = "linux")]
    let table = std::fs::read_to_string("/proc/net/route").ok()?;
    #[cfg(not(target_os = "linux"))]
    let table = String::new();
    table
        .lines()
        .filter_map(read_route)
        .min_by_key(|(metric, _)| *metric)
        .map(|(_, gateway)| gateway)
}

/// Returns the local address of the route to `other`. Nothing is sent.
pub fn source_for(other: Ipv4Addr) -> Option<Ipv4Addr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    socket.connect(SocketAddr::from((other, 9))).ok()?;
    match socket.local_addr().ok()?.ip() {
        IpAddr::V4(ip) if !ip.is_unspecified() => Some(ip),
        _ => None,
    }
}

/// Parses a line of `/proc/net/route`: interface, destination, gateway, flags, two counts, metric,
/// mask, and more. Addresses are in the host's byte order.
fn read_route(line: &str) -> Option<(u32, Ipv4Addr)> {
    const GATEWAY: u16 = 2;
    let fields: Vec<&str> = line.split_ascii_whitespace().collect();
    let hex = |at: usize| u32::from_str_radix(fields.get(at)?, 16).ok();
    let flags = u16::from_str_radix(fields.get(3)?, 16).ok()?;
    if hex(1)? != 0 || hex(7)? != 0 || flags & GATEWAY == 0 {
        return None;
    }
    let gateway = Ipv4Addr::from(hex(2)?.to_ne_bytes());
    Some((fields.get(6)?.parse().ok()?, gateway))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_endian = "little")]
    fn routes_are_read() {
        let route = "eth0\t00000000\t0102A8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0";
        assert_eq!(
            read_route(route),
            Some((100, Ipv4Addr::new(192, 168, 2, 1)))
        );
        let others = [
            "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT",
            "eth0\t0002A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0",
            "eth0\t00000000",
            "",
        ];
        for other in others {
            assert_eq!(read_route(other), None);
        }
    }

    #[test]
    fn loopback_is_reached_from_loopback() {
        assert_eq!(source_for(Ipv4Addr::LOCALHOST), Some(Ipv4Addr::LOCALHOST));
    }
}
