//! Classification of IP addresses: public, private, loopback, or unusable.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Where an IP address is meaningful.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Globally routable.
    Public,
    /// Within one private network; another network may use the same address for another host.
    Private,
    /// Within one machine.
    Loopback,
}

/// IPv4 ranges in which no peer can be: "this network", link-local, protocol assignments,
/// documentation, 6to4 relays, benchmarking, multicast, and the reserved range with the broadcast
/// address.
const NEVER_V4: [(Ipv4Addr, u32); 10] = [
    (Ipv4Addr::new(0, 0, 0, 0), 8),
    (Ipv4Addr::new(169, 254, 0, 0), 16),
    (Ipv4Addr::new(192, 0, 0, 0), 24),
    (Ipv4Addr::new(192, 0, 2, 0), 24),
    (Ipv4Addr::new(192, 88, 99, 0), 24),
    (Ipv4Addr::new(198, 18, 0, 0), 15),
    (Ipv4Addr::new(198, 51, 100, 0), 24),
    (Ipv4Addr::new(203, 0, 113, 0), 24),
    (Ipv4Addr::new(224, 0, 0, 0), 4),
    (Ipv4Addr::new(240, 0, 0, 0), 4),
];
/// Private IPv4 ranges, including the shared address space of carrier-grade NATs (RFC 6598).
const PRIVATE_V4: [(Ipv4Addr, u32); 4] = [
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
    (Ipv4Addr::new(100, 64, 0, 0), 10),
];
const LOOPBACK_V4: (Ipv4Addr, u32) = (Ipv4Addr::new(127, 0, 0, 0), 8);

/// Global unicast, the only IPv6 range treated as public.
const PUBLIC_V6: (Ipv6Addr, u32) = (Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);
/// Parts of global unicast in which no peer can be: protocol assignments including Teredo,
/// documentation, 6to4.
const NEVER_V6: [(Ipv6Addr, u32); 4] = [
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23),
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32),
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20),
];
/// Unique local addresses (RFC 4193).
const PRIVATE_V6: (Ipv6Addr, u32) = (Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0), 7);
/// Synthetic addresses of peers on lines (docs/spec/line.md#packets). They lie within the unique
/// local range and never leave the process.
const ON_LINE: (Ipv6Addr, u32) = (Ipv6Addr::new(0xfc4d, 0x3200, 0, 0, 0, 0, 0, 0), 24);

impl Scope {
    /// Returns the scope of an address, or `None` if no peer can have it. The caller must have
    /// unmapped an IPv4-mapped address.
    pub(super) fn of(ip: IpAddr) -> Option<Self> {
        match ip {
            IpAddr::V4(ip) => Self::of_v4(ip),
            IpAddr::V6(ip) => Self::of_v6(ip),
        }
    }

    fn of_v4(ip: Ipv4Addr) -> Option<Self> {
        let is_in = |range: &(Ipv4Addr, u32)| in_v4(ip, range.0, range.1);
        if is_in(&LOOPBACK_V4) {
            Some(Self::Loopback)
        } else if PRIVATE_V4.iter().any(is_in) {
            Some(Self::Private)
        } else if NEVER_V4.iter().any(is_in) {
            None
        } else {
            Some(Self::Public)
        }
    }

    fn of_v6(ip: Ipv6Addr) -> Option<Self> {
        let is_in = |range: &(Ipv6Addr, u32)| in_v6(ip, range.0, range.1);
        if ip.is_loopback() {
            Some(Self::Loopback)
        } else if is_in(&PRIVATE_V6) {
            (!is_in(&ON_LINE)).then_some(Self::Private)
        } else {
            (is_in(&PUBLIC_V6) && !NEVER_V6.iter().any(is_in)).then_some(Self::Public)
        }
    }
}

/// Returns whether `ip` lies in `network/length`.
pub(super) const fn in_v4(ip: Ipv4Addr, network: Ipv4Addr, length: u32) -> bool {
    let mask = match u32::MAX.checked_shl(32_u32.saturating_sub(length)) {
        Some(mask) => mask,
        None => 0,
    };
    (ip.to_bits() ^ network.to_bits()) & mask == 0
}

/// Returns whether `ip` lies in `network/length`.
pub(super) const fn in_v6(ip: Ipv6Addr, network: Ipv6Addr, length: u32) -> bool {
    let mask = match u128::MAX.checked_shl(128_u32.saturating_sub(length)) {
        Some(mask) => mask,
        None => 0,
    };
    (ip.to_bits() ^ network.to_bits()) & mask == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use Scope::{Loopback, Private, Public};

    /// The first and last address of each range, and the adjacent addresses outside it.
    const BORDERS: &[(&str, Option<Scope>)] = &[
        ("0.0.0.0", None),
        ("0.255.255.255", None),
        ("1.0.0.0", Some(Public)),
        ("9.255.255.255", Some(Public)),
        ("10.0.0.0", Some(Private)),
        ("10.255.255.255", Some(Private)),
        ("11.0.0.0", Some(Public)),
        ("100.63.255.255", Some(Public)),
        ("100.64.0.0", Some(Private)),
        ("100.127.255.255", Some(Private)),
        ("100.128.0.0", Some(Public)),
        ("126.255.255.255", Some(Public)),
        ("127.0.0.0", Some(Loopback)),
        ("127.255.255.255", Some(Loopback)),
        ("128.0.0.0", Some(Public)),
        ("169.253.255.255", Some(Public)),
        ("169.254.0.0", None),
        ("169.254.255.255", None),
        ("169.255.0.0", Some(Public)),
        ("172.15.255.255", Some(Public)),
        ("172.16.0.0", Some(Private)),
        ("172.31.255.255", Some(Private)),
        ("172.32.0.0", Some(Public)),
        ("191.255.255.255", Some(Public)),
        ("192.0.0.0", None),
        ("192.0.0.255", None),
        ("192.0.1.0", Some(Public)),
        ("192.0.1.255", Some(Public)),
        ("192.0.2.0", None),
        ("192.0.2.255", None),
        ("192.0.3.0", Some(Public)),
        ("192.88.98.255", Some(Public)),
        ("192.88.99.0", None),
        ("192.88.99.255", None),
        ("192.88.100.0", Some(Public)),
        ("192.167.255.255", Some(Public)),
        ("192.168.0.0", Some(Private)),
        ("192.168.255.255", Some(Private)),
        ("192.169.0.0", Some(Public)),
        ("198.17.255.255", Some(Public)),
        ("198.18.0.0", None),
        ("198.19.255.255", None),
        ("198.20.0.0", Some(Public)),
        ("198.51.99.255", Some(Public)),
        ("198.51.100.0", None),
        ("198.51.100.255", None),
        ("198.51.101.0", Some(Public)),
        ("203.0.112.255", Some(Public)),
        ("203.0.113.0", None),
        ("203.0.113.255", None),
        ("203.0.114.0", Some(Public)),
        ("223.255.255.255", Some(Public)),
        ("224.0.0.0", None),
        ("239.255.255.255", None),
        ("240.0.0.0", None),
        ("255.255.255.254", None),
        ("255.255.255.255", None),
        ("::", None),
        ("::1", Some(Loopback)),
        ("::2", None),
        ("64:ff9b::a00:1", None),
        ("64:ff9b:1::1", None),
        ("100::1", None),
        ("1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", None),
        ("2000::", Some(Public)),
        ("2000:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Some(Public)),
        ("2001::", None),
        ("2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff", None),
        ("2001:200::", Some(Public)),
        ("2001:db7:ffff:ffff:ffff:ffff:ffff:ffff", Some(Public)),
        ("2001:db8::", None),
        ("2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", None),
        ("2001:db9::", Some(Public)),
        ("2001:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Some(Public)),
        ("2002::", None),
        ("2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff", None),
        ("2003::", Some(Public)),
        ("3ffe:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Some(Public)),
        ("3fff::", None),
        ("3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff", None),
        ("3fff:1000::", Some(Public)),
        ("4000::", None),
        ("fbff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", None),
        ("fc00::", Some(Private)),
        ("fc4d:31ff:ffff:ffff:ffff:ffff:ffff:ffff", Some(Private)),
        ("fc4d:3200::", None),
        ("fc4d:32ff:ffff:ffff:ffff:ffff:ffff:ffff", None),
        ("fc4d:3300::", Some(Private)),
        ("fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Some(Private)),
        ("fe80::1", None),
        ("fec0::1", None),
        ("ff02::fb", None),
    ];

    #[test]
    fn each_range_begins_and_ends_where_it_should() {
        for &(text, scope) in BORDERS {
            assert_eq!(Scope::of(text.parse().unwrap()), scope, "{text}");
        }
    }

    #[test]
    fn an_empty_prefix_holds_all() {
        assert!(in_v4(Ipv4Addr::LOCALHOST, Ipv4Addr::BROADCAST, 0));
        assert!(in_v6(Ipv6Addr::LOCALHOST, Ipv6Addr::UNSPECIFIED, 0));
        assert!(!in_v6(Ipv6Addr::LOCALHOST, Ipv6Addr::UNSPECIFIED, 128));
    }
}
