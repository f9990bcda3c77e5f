//! Candidate addresses: which are sent to contacts, and in which order theirs are dialled.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The most candidates in one frame (`docs/spec/reach.md#where-one-is`).
pub(crate) const MAX_CANDIDATES: usize = m2_net::wire::reach::MAX_CANDIDATES;

/// The source of an address of this host, the most reliable first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// The user configured it.
    Announced,
    /// The gateway forwards a port of it.
    Mapped,
    /// A relay of this daemon observed it.
    Relay,
    /// A contact observed it.
    Contact,
    /// An interface of this host has it.
    Interface,
}

/// Orders a contact's candidates for dialling, the most likely to answer first. A private address
/// answers within the same network, which a common prefix makes likely.
pub(crate) fn in_order(mut theirs: Vec<SocketAddr>, own: &[IpAddr]) -> Vec<SocketAddr> {
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

/// Returns whether two addresses are likely to be in the same network.
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

/// Returns whether an address is private, so that it differs in meaning between networks.
pub(super) fn is_private(ip: &IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => {
            let [first, second, ..] = ip.octets();
            // 100.64.0.0/10 is shared address space behind a provider's NAT (RFC 6598).
            ip.is_private() || (first == 100 && second & 0xc0 == 64)
        }
        IpAddr::V6(ip) => ip.is_unique_local(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn neighbours_come_first_and_foreign_private_addresses_last() {
        let theirs = ["10.1.1.2:5000", "11.0.2.1:5000", "192.168.1.9:5000"].map(parse);
        let own = ["192.168.1.4".parse().unwrap()];
        let order = in_order(theirs.to_vec(), &own);
        let expected = ["192.168.1.9:5000", "11.0.2.1:5000", "10.1.1.2:5000"].map(parse);
        assert_eq!(order, expected);
        let many = vec![parse("11.0.2.1:5000"); MAX_CANDIDATES + 5];
        assert_eq!(in_order(many, &own).len(), 1);
    }
}
