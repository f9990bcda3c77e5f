//! Which addresses are told and which are called.

use super::scope::Scope;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The most candidates that are told (spec §8).
pub(super) const MAX_CANDIDATES: usize = m2_net::wire::reach::MAX_CANDIDATES;

/// Where it is known from that this host has an address, the best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// The user says so.
    Announced,
    /// The gateway maps a port to ours.
    Mapped,
    /// One of our relays sees us there.
    Relay,
    /// A contact sees us there.
    Contact,
    /// An interface of this host has it.
    Interface,
}

/// What an address that another party named is wanted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// To reach a contact straight at its sockets: it may be in a network of this host.
    Contact,
    /// To reach a relay or a provider that a contact named: only in the public internet.
    Service,
}

/// Whether an address that another party named may be dialled or sent datagrams: that party chooses
/// it, so that no other host may be hit than one with a UDP port of its own
/// (docs/spec/reach.md#bounds). `loopback_only`: this daemon is bound to loopback alone, and talks
/// within its own machine.
pub fn may_be_dialled(named: &SocketAddr, wanted: Wanted, loopback_only: bool) -> bool {
    const FIRST_PORT: u16 = 1_024;
    const HTTPS: u16 = 443;
    if named.port() < FIRST_PORT && named.port() != HTTPS {
        return false;
    }
    match Scope::of(named.ip()) {
        None => false,
        Some(Scope::Loopback) => loopback_only,
        Some(_) if loopback_only => false,
        Some(Scope::Private) => wanted == Wanted::Contact,
        Some(Scope::Public) => true,
    }
}

/// The order in which a contact's candidates are called: what is likely to answer first. A private
/// address answers where both are in one network, which a common prefix makes likely.
pub(super) fn in_order(
    mut theirs: Vec<SocketAddr>,
    own: &[IpAddr],
    bound_to_loopback: bool,
) -> Vec<SocketAddr> {
    theirs.retain(|address| may_be_dialled(address, Wanted::Contact, bound_to_loopback));
    theirs.truncate(MAX_CANDIDATES);
    theirs.sort_by_key(|address| {
        let ip = address.ip();
        match (is_private(&ip), own.iter().any(|own| are_near(own, &ip))) {
            (_, true) => 0_u8,
            (false, false) => 1,
            (true, false) => 2,
        }
    });
    theirs.dedup();
    theirs
}

/// Whether two addresses are likely to be in one network.
fn are_near(one: &IpAddr, other: &IpAddr) -> bool {
    match (one, other) {
        (IpAddr::V4(one), IpAddr::V4(other)) => prefix4(*one) == prefix4(*other),
        (IpAddr::V6(one), IpAddr::V6(other)) => prefix6(*one) == prefix6(*other),
        _ => false,
    }
}

const fn prefix4(ip: Ipv4Addr) -> u32 {
    ip.to_bits() >> 8
}

const fn prefix6(ip: Ipv6Addr) -> u128 {
    ip.to_bits() >> 64
}

/// Whether an address means something else in each network.
pub(super) fn is_private(ip: &IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => {
            let [first, second, ..] = ip.octets();
            // 100.64.0.0/10 is shared behind a provider's NAT (RFC 6598).
            ip.is_private() || (first == 100 && second & 0xc0 == 64)
        }
        IpAddr::V6(ip) => ip.is_unique_local(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn parse(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    /// Whether an address may be dialled for a contact and for a service, and either on a machine
    /// of its own.
    const CASES: &[(&str, [bool; 3])] = &[
        ("1.1.1.1:5000", [true, true, false]),
        ("[2606:4700::1]:5000", [true, true, false]),
        ("[::ffff:1.1.1.1]:5000", [true, true, false]),
        ("1.1.1.1:443", [true, true, false]),
        ("1.1.1.1:1024", [true, true, false]),
        ("1.1.1.1:0", [false; 3]),
        ("1.1.1.1:53", [false; 3]),
        ("1.1.1.1:442", [false; 3]),
        ("1.1.1.1:444", [false; 3]),
        ("1.1.1.1:1023", [false; 3]),
        ("192.168.1.9:5000", [true, false, false]),
        ("[::ffff:192.168.1.9]:5000", [true, false, false]),
        ("100.64.0.1:5000", [true, false, false]),
        ("[fd00:1::9]:5000", [true, false, false]),
        ("127.0.0.1:5000", [false, false, true]),
        ("[::1]:5000", [false, false, true]),
        ("[::ffff:127.0.0.1]:5000", [false, false, true]),
        ("127.0.0.1:123", [false; 3]),
        ("0.0.0.0:5000", [false; 3]),
        ("169.254.1.1:5000", [false; 3]),
        ("192.0.2.1:5000", [false; 3]),
        ("224.0.0.251:5353", [false; 3]),
        ("255.255.255.255:5000", [false; 3]),
        ("[fe80::1]:5000", [false; 3]),
        ("[ff02::fb]:5353", [false; 3]),
        ("[64:ff9b::101:101]:5000", [false; 3]),
        ("[fc4d:3200::1]:5000", [false; 3]),
    ];

    #[test]
    fn only_a_host_with_a_port_of_its_own_is_dialled() {
        for &(text, [contact, service, alone]) in CASES {
            let named = parse(text);
            assert_eq!(
                may_be_dialled(&named, Wanted::Contact, false),
                contact,
                "{text}"
            );
            assert_eq!(
                may_be_dialled(&named, Wanted::Service, false),
                service,
                "{text}"
            );
            for wanted in [Wanted::Contact, Wanted::Service] {
                assert_eq!(may_be_dialled(&named, wanted, true), alone, "{text}");
            }
        }
    }

    #[test]
    fn neighbours_come_first_and_foreign_private_addresses_last() {
        let theirs = ["10.1.1.2:5000", "11.0.2.1:5000", "192.168.1.9:5000"].map(parse);
        let own = ["192.168.1.4".parse().unwrap()];
        let order = in_order(theirs.to_vec(), &own, false);
        let expected = ["192.168.1.9:5000", "11.0.2.1:5000", "10.1.1.2:5000"].map(parse);
        assert_eq!(order, expected);
        let many = vec![parse("11.0.2.1:5000"); MAX_CANDIDATES + 5];
        assert_eq!(in_order(many, &own, false).len(), 1);
    }
}
