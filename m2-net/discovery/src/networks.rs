//! The networks that this host is in.
//!
//! The mask of an interface's address determines its network, except if it covers the host alone,
//! as for tunnels and for addresses from DHCPv6. The networks of those are determined by the routes
//! without a gateway, and by the ranges from which such addresses are assigned.

use if_addrs::{IfAddr, get_if_addrs};
use m2_crypto::address::Network;
use std::net::{IpAddr, Ipv4Addr};

/// The shortest accepted prefix of a network, in bits: shorter routes lead to the internet, and a
/// shorter mask counts as missing.
const SHORTEST: u32 = 8;
/// Flags of a route: up; uses a gateway; rejects matching packets.
const UP: u32 = 0x1;
const GATEWAY: u32 = 0x2;
const REJECT: u32 = 0x200;

/// Returns the networks of this host's interfaces and of its routes without a gateway. Empty if the
/// system does not provide them.
pub fn of_this_host() -> Vec<Network> {
    let interfaces = get_if_addrs().unwrap_or_default();
    let of_interfaces = interfaces.iter().map(|one| of_interface(&one.addr));
    of_interfaces.chain(of_routes()).collect()
}

fn of_interface(interface: &IfAddr) -> Network {
    let length = match interface {
        IfAddr::V4(v4) => match v4.netmask.to_bits().leading_ones() {
            32 if is_shared(v4.ip) => 10,
            length if length < SHORTEST => 32,
            length => length,
        },
        IfAddr::V6(v6) => match v6.netmask.to_bits().leading_ones() {
            // The first 48 bits of a unique local address identify one site (RFC 4193).
            128 if v6.ip.is_unique_local() => 48,
            length if length < SHORTEST => 128,
            length => length,
        },
    };
    Network {
        ip: interface.ip(),
        length,
    }
}

/// Returns whether an address is in 100.64.0.0/10, from which overlay networks number their hosts.
const fn is_shared(ip: Ipv4Addr) -> bool {
    let [first, second, ..] = ip.octets();
    first == 100 && second & 0xc0 == 64
}

#[cfg(target_os = "linux")]
fn of_routes() -> Vec<Network> {
    let table = std::fs::read_to_string("/proc/net/route").unwrap_or_default();
    table.lines().skip(1).filter_map(of_route).collect()
}

#[cfg(not(target_os = "linux"))]
fn of_routes() -> Vec<Network> {
    Vec::new()
}

/// Parses a line of `/proc/net/route`: interface, destination, gateway, flags, three counters,
/// mask.
#[cfg_attr(not(target_os = "linux"), allow(dead_code))]
fn of_route(line: &str) -> Option<Network> {
    let mut fields = line.split_ascii_whitespace().skip(1);
    let mut number = |skipped| u32::from_str_radix(fields.nth(skipped)?, 16).ok();
    let destination = number(0)?;
    let flags = number(1)?;
    let mask = number(3)?;
    // The kernel prints addresses as numbers in its own byte order.
    let length = u32::from_be_bytes(mask.to_ne_bytes()).leading_ones();
    let is_direct = flags & UP != 0 && flags & (GATEWAY | REJECT) == 0;
    (is_direct && length >= SHORTEST).then(|| Network {
        ip: IpAddr::V4(Ipv4Addr::from(destination.to_ne_bytes())),
        length,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use if_addrs::{Ifv4Addr, Ifv6Addr};

    fn v4(ip: &str, netmask: &str) -> Network {
        of_interface(&IfAddr::V4(Ifv4Addr {
            ip: ip.parse().unwrap(),
            netmask: netmask.parse().unwrap(),
            prefixlen: 0,
            broadcast: None,
        }))
    }

    fn v6(ip: &str, netmask: &str) -> Network {
        of_interface(&IfAddr::V6(Ifv6Addr {
            ip: ip.parse().unwrap(),
            netmask: netmask.parse().unwrap(),
            prefixlen: 0,
            broadcast: None,
        }))
    }

    #[test]
    fn the_mask_determines_the_network_unless_it_covers_the_host_alone() {
        assert_eq!(v4("192.168.1.4", "255.255.255.0").length, 24);
        assert_eq!(v4("10.8.0.2", "255.255.255.255").length, 32);
        assert_eq!(v4("10.8.0.2", "0.0.0.0").length, 32, "there is no mask");
        assert_eq!(v4("100.101.1.2", "255.255.255.255").length, 10);
        assert_eq!(v4("100.64.0.2", "255.255.255.0").length, 24);
        let all = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff";
        assert_eq!(v6("fd7a:115c:a1e0::1", all).length, 48);
        assert_eq!(v6("2a01:db8::1", all).length, 128);
        assert_eq!(v6("fd00:1::4", "ffff:ffff:ffff:ffff::").length, 64);
    }

    #[test]
    #[cfg(target_endian = "little")]
    fn routes_without_a_gateway_are_networks() {
        let network = |line| of_route(line).map(|network| (network.ip.to_string(), network.length));
        let tunnel = "wg0 0000420A 00000000 0001 0 0 0 00FFFFFF 0 0 0";
        assert_eq!(network(tunnel), Some(("10.66.0.0".to_owned(), 24)));
        let host = "wg0 0200420A 00000000 0005 0 0 0 FFFFFFFF 0 0 0";
        assert_eq!(network(host), Some(("10.66.0.2".to_owned(), 32)));
        for refused in [
            "eth0 00000000 0101A8C0 0003 0 0 100 00000000 0 0 0",
            "eth0 0000420A 0101A8C0 0003 0 0 0 0000FFFF 0 0 0",
            "wg0 00000000 00000000 0001 0 0 0 00000080 0 0 0",
            "wg0 0000420A 00000000 0201 0 0 0 00FFFFFF 0 0 0",
            "wg0 0000420A",
            "",
        ] {
            assert_eq!(network(refused), None, "{refused}");
        }
    }
}
