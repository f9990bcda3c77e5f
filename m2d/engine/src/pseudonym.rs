//! Names for peers and addresses in debug lines. They are the same in one run of the daemon and say
//! nothing in another: a log tells which lines are about the same peer, and not about which one.

use m2_crypto::PeerId;
use std::fmt;
use std::hash::{BuildHasher, Hash, RandomState};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::LazyLock;

static KEY: LazyLock<RandomState> = LazyLock::new(RandomState::new);

/// A peer's name in this run.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Pseudonym(u32);

impl Pseudonym {
    /// Returns the name of a peer in this run.
    pub fn of(peer: &PeerId) -> Self {
        Self(hashed(peer.as_bytes()))
    }
}

/// An address in this run: its kind, and a name.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct AddressPseudonym(&'static str, u32);

impl AddressPseudonym {
    /// Returns the name of an address in this run.
    pub fn of(address: SocketAddr) -> Self {
        let ip = address.ip().to_canonical();
        Self(kind(ip), hashed(&(ip, address.port())))
    }
}

fn hashed(value: &(impl Hash + ?Sized)) -> u32 {
    (KEY.hash_one(value) >> 32) as u32
}

fn kind(ip: IpAddr) -> &'static str {
    match ip {
        IpAddr::V4(v4) if v4.is_loopback() => "IPv4 loopback",
        IpAddr::V4(v4) if v4.is_private() => "private IPv4",
        IpAddr::V4(_) => "IPv4",
        IpAddr::V6(Ipv6Addr::LOCALHOST) => "IPv6 loopback",
        IpAddr::V6(v6) if v6.is_unique_local() => "private IPv6",
        IpAddr::V6(v6) if v6.is_unicast_link_local() => "link-local IPv6",
        IpAddr::V6(_) => "IPv6",
    }
}

impl fmt::Display for AddressPseudonym {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} address-{:08x}", self.0, self.1)
    }
}

impl fmt::Display for Pseudonym {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "peer-{:08x}", self.0)
    }
}

impl fmt::Debug for Pseudonym {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_keeps_its_name_and_differs_from_others() {
        let [one, other] = [[1; 32], [2; 32]].map(PeerId::from_bytes);
        assert_eq!(Pseudonym::of(&one), Pseudonym::of(&one));
        assert_ne!(Pseudonym::of(&one), Pseudonym::of(&other));
        let name = Pseudonym::of(&one).to_string();
        assert!(!one.to_string().contains(&name["peer-".len()..]));
    }

    #[test]
    fn an_address_shows_its_kind_only() {
        let shown = |text: &str| AddressPseudonym::of(text.parse().unwrap()).to_string();
        assert!(shown("192.168.1.7:4000").starts_with("private IPv4 address-"));
        assert!(shown("[fe80::1]:4000").starts_with("link-local IPv6 address-"));
        assert!(!shown("192.168.1.7:4000").contains(":4000"));
        assert_ne!(shown("192.0.2.1:4000"), shown("192.0.2.1:4001"));
    }
}
