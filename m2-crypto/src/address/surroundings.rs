//! This host's view of its own network, against which addresses named by other parties are judged.

use super::NamedAddress;
use super::range::{in_v4, in_v6};
use std::net::{IpAddr, Ipv4Addr};

/// The purpose for which an address would be dialled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// A direct session with a contact or an inviter.
    Contact {
        /// True if this host and the contact share one public address, as hosts behind the same NAT
        /// do.
        shares_public: bool,
    },
    /// A session with a relay or a provider that another party named.
    Service,
    /// A relay's outgoing session, where the operator allowed private and loopback addresses.
    Anywhere,
}

/// A network to which an interface of this host is attached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    /// Any address in the network.
    pub ip: IpAddr,
    /// Prefix length in bits.
    pub length: u32,
}

/// The properties of this host against which named addresses are checked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Surroundings {
    /// True if the daemon is bound to loopback only, as in a test or a lab.
    pub loopback_only: bool,
    /// The networks of this host's interfaces.
    pub networks: Vec<Network>,
    /// The addresses at which this daemon itself is reachable. They are never admitted.
    pub own: Vec<NamedAddress>,
}

impl Surroundings {
    pub(super) fn has_network_of(&self, ip: IpAddr) -> bool {
        self.networks.iter().any(|network| network.holds(ip))
    }

    pub(super) fn is_broadcast(&self, ip: IpAddr) -> bool {
        let IpAddr::V4(ip) = ip else {
            return false;
        };
        self.networks.iter().any(|network| network.is_broadcast(ip))
    }
}

impl Network {
    fn holds(&self, ip: IpAddr) -> bool {
        match (self.ip, ip) {
            (IpAddr::V4(network), IpAddr::V4(ip)) => in_v4(ip, network, self.length),
            (IpAddr::V6(network), IpAddr::V6(ip)) => in_v6(ip, network, self.length),
            _ => false,
        }
    }

    /// Returns whether `ip` is the last address of the network, or the first, which old hosts treat
    /// as a broadcast address. A /31 or /32 network has no broadcast address.
    fn is_broadcast(&self, ip: Ipv4Addr) -> bool {
        if self.length >= 31 || !self.holds(ip.into()) {
            return false;
        }
        let host = u32::MAX >> self.length;
        let bits = ip.to_bits() & host;
        bits == 0 || bits == host
    }
}

#[cfg(test)]
mod tests {
    use super::super::Scope;
    use super::*;

    const DIRECT: Use = Use::Contact {
        shares_public: false,
    };
    const BEHIND_ONE: Use = Use::Contact {
        shares_public: true,
    };

    fn named(text: &str) -> NamedAddress {
        text.parse().unwrap()
    }

    fn at_home() -> Surroundings {
        let network = |ip: &str, length| Network {
            ip: ip.parse().unwrap(),
            length,
        };
        Surroundings {
            loopback_only: false,
            networks: vec![
                network("192.168.1.4", 24),
                network("fd00:1::4", 64),
                network("11.5.0.9", 22),
            ],
            own: vec![
                "192.168.1.4:5000".parse().unwrap(),
                "11.9.9.9:5000".parse().unwrap(),
            ],
        }
    }

    fn in_lab() -> Surroundings {
        Surroundings {
            loopback_only: true,
            own: vec!["127.0.0.1:5000".parse().unwrap()],
            ..Surroundings::default()
        }
    }

    /// True where an address is admitted: in a home network for a contact, for a contact behind the
    /// same public address and for a service, and in a lab.
    const CASES: &[(&str, [bool; 4])] = &[
        // Public addresses.
        ("1.1.1.1:5000", [true, true, true, false]),
        ("[2606:4700::1]:5000", [true, true, true, false]),
        ("[::ffff:1.1.1.1]:5000", [true, true, true, false]),
        // Ports.
        ("1.1.1.1:443", [true, true, true, false]),
        ("1.1.1.1:1024", [true, true, true, false]),
        ("1.1.1.1:65535", [true, true, true, false]),
        ("1.1.1.1:0", [false; 4]),
        ("1.1.1.1:53", [false; 4]),
        ("1.1.1.1:442", [false; 4]),
        ("1.1.1.1:444", [false; 4]),
        ("1.1.1.1:1023", [false; 4]),
        ("192.168.1.9:123", [false; 4]),
        ("127.0.0.1:123", [false; 4]),
        // Private addresses.
        ("192.168.1.9:5000", [true, true, false, false]),
        ("[::ffff:192.168.1.9]:5000", [true, true, false, false]),
        ("192.168.2.9:5000", [false, true, false, false]),
        ("10.0.0.1:5000", [false, true, false, false]),
        ("100.64.0.1:5000", [false, true, false, false]),
        ("[fd00:1::9]:5000", [true, true, false, false]),
        ("[fd00:2::9]:5000", [false, true, false, false]),
        // This machine.
        ("127.0.0.1:6000", [false, false, false, true]),
        ("127.9.9.9:5000", [false, false, false, true]),
        ("[::1]:5000", [false, false, false, true]),
        ("[::ffff:127.0.0.1]:6000", [false, false, false, true]),
        // This daemon.
        ("127.0.0.1:5000", [false; 4]),
        ("192.168.1.4:5000", [false; 4]),
        ("[::ffff:192.168.1.4]:5000", [false; 4]),
        ("192.168.1.4:5001", [true, true, false, false]),
        ("11.9.9.9:5000", [false; 4]),
        // Broadcast addresses of networks of this host.
        ("192.168.1.255:5000", [false; 4]),
        ("192.168.1.0:5000", [false; 4]),
        ("11.5.3.255:5000", [false; 4]),
        ("11.5.2.255:5000", [true, true, true, false]),
        // Ranges in which no peer can be.
        ("0.0.0.0:5000", [false; 4]),
        ("169.254.1.1:5000", [false; 4]),
        ("192.0.2.1:5000", [false; 4]),
        ("224.0.0.251:5353", [false; 4]),
        ("[::ffff:224.0.0.251]:5353", [false; 4]),
        ("255.255.255.255:5000", [false; 4]),
        ("[fe80::1]:5000", [false; 4]),
        ("[ff02::fb]:5353", [false; 4]),
        ("[64:ff9b::101:101]:5000", [false; 4]),
        // Peers on lines.
        ("[fc4d:3200::1]:5000", [false; 4]),
    ];

    #[test]
    fn admission_depends_on_the_use_and_the_network() {
        for &(text, admitted) in CASES {
            let (named, home, lab) = (named(text), at_home(), in_lab());
            let found = [
                named.admit(&home, DIRECT).is_some(),
                named.admit(&home, BEHIND_ONE).is_some(),
                named.admit(&home, Use::Service).is_some(),
                named.admit(&lab, Use::Service).is_some(),
            ];
            assert_eq!(found, admitted, "{text}");
            let direct = named.admit(&lab, DIRECT);
            assert_eq!(direct, named.admit(&lab, Use::Service), "{text}");
            for (here, wanted) in [(&home, DIRECT), (&home, Use::Service), (&lab, DIRECT)] {
                let is_admitted = named.admit(here, wanted).is_some();
                let may_suit = named.may_suit(wanted, here.loopback_only);
                assert!(may_suit || !is_admitted, "{text}");
            }
        }
        let mapped = named("[::ffff:1.1.1.1]:5000").admit(&at_home(), DIRECT);
        assert_eq!(mapped, Some("1.1.1.1:5000".parse().unwrap()));
    }

    #[test]
    fn may_suit_accepts_what_some_network_could_admit() {
        for (text, contact, service, alone) in [
            ("1.1.1.1:5000", true, true, false),
            ("10.0.0.1:5000", true, false, false),
            ("[::ffff:10.0.0.1]:5000", true, false, false),
            ("127.0.0.1:5000", false, false, true),
            ("1.1.1.1:53", false, false, false),
            ("224.0.0.251:5353", false, false, false),
            ("[fc4d:3200::1]:5000", false, false, false),
        ] {
            let named = named(text);
            assert_eq!(named.may_suit(DIRECT, false), contact, "{text}");
            assert_eq!(named.may_suit(Use::Service, false), service, "{text}");
            for wanted in [DIRECT, Use::Service] {
                assert_eq!(named.may_suit(wanted, true), alone, "{text}");
            }
        }
    }

    #[test]
    fn told_addresses_pass_the_same_filter() {
        let is_shared = |text: &str, telling| {
            NamedAddress::for_peer(text.parse().unwrap(), telling, false).is_some()
        };
        for (text, contact, service) in [
            ("1.1.1.1:5000", true, true),
            ("192.168.1.4:5000", true, false),
            ("127.0.0.1:5000", false, false),
            ("1.1.1.1:53", false, false),
            ("169.254.0.1:5000", false, false),
            ("[fe80::1]:5000", false, false),
            ("[fc4d:3200::1]:9", false, false),
        ] {
            assert_eq!(is_shared(text, DIRECT), contact, "{text}");
            assert_eq!(is_shared(text, Use::Service), service, "{text}");
        }
        let lab = NamedAddress::for_peer("127.0.0.1:5000".parse().unwrap(), Use::Service, true);
        assert_eq!(lab, Some(named("127.0.0.1:5000")));
        let mapped =
            NamedAddress::for_peer("[::ffff:1.1.1.1]:5000".parse().unwrap(), DIRECT, false);
        assert_eq!(mapped, Some(named("1.1.1.1:5000")));
    }

    #[test]
    fn anywhere_admits_private_and_loopback_but_no_other_ports_or_ranges() {
        let home = at_home();
        let anywhere = |text: &str| named(text).admit(&home, Use::Anywhere).is_some();
        assert!(anywhere("10.1.1.1:5000") && anywhere("127.0.0.1:5000"));
        assert!(!anywhere("127.0.0.1:53") && !anywhere("224.0.0.1:5000"));
        assert!(!anywhere("192.168.1.4:5000"), "itself");
        assert_eq!(named("10.1.1.1:5000").scope(), Some(Scope::Private));
    }
}
