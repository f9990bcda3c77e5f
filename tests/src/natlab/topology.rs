//! The test networks, and the expected result in each.

use m2_proto::api::v1::Path;

/// How one side is connected to the Internet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// A public address without NAT or firewall.
    Open,
    /// A NAT with endpoint-independent mapping and address- and port-dependent filtering.
    Restricted,
    /// A NAT with address- and port-dependent mapping and filtering.
    Symmetric,
    /// Two restricted NATs in a row, at home and at the ISP.
    Twice,
    /// A restricted NAT that passes UDP only to the relay.
    RelayOnly,
    /// A restricted NAT that maps ports on request.
    Mapping,
    /// A symmetric NAT for IPv4, and for IPv6 a stateful firewall without NAT.
    TwoFamilies,
}

/// The location of the two sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Each side is in its own network.
    Apart(Access, Access),
    /// Both sides are in one network, behind one router.
    Together,
}

/// A change of the network while the peers exchange messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// No change.
    None,
    /// Bob's host moves to another network.
    Move,
    /// Bob's router drops all mappings, and assigns other ports from then on.
    Rebind,
    /// Bob's host sleeps, and wakes up behind a router that has dropped all mappings.
    Sleep,
    /// Both hosts get new addresses while the daemons are down, so that the addresses the daemons
    /// know of each other are stale.
    NewAddresses,
}

/// A network, and the expected result for two contacts in it.
#[derive(Debug, Clone, Copy)]
pub struct Topology {
    /// The name on the command line and in the table.
    pub name: &'static str,
    /// The location of alice and bob.
    pub place: Place,
    /// The change that happens.
    pub change: Change,
    /// The percentage of datagrams through alice's router that are lost, in each direction.
    pub loss: u32,
    /// True if hole punching works between plain sockets.
    pub punches: bool,
    /// The path on which two contacts end up (`docs/spec/reach.md#what-nats-allow`).
    pub path: Path,
}

const fn apart(name: &'static str, alice: Access, bob: Access, path: Path) -> Topology {
    Topology {
        name,
        place: Place::Apart(alice, bob),
        change: Change::None,
        loss: 0,
        punches: matches!(path, Path::Direct),
        path,
    }
}

const RESTRICTED: Topology = apart(
    "restricted-restricted",
    Access::Restricted,
    Access::Restricted,
    Path::Direct,
);

const fn lossy(name: &'static str, loss: u32) -> Topology {
    Topology {
        name,
        loss,
        ..RESTRICTED
    }
}

const fn changing(name: &'static str, change: Change) -> Topology {
    Topology {
        name,
        change,
        ..RESTRICTED
    }
}

/// All networks.
pub const ALL: [Topology; 16] = [
    apart("open-open", Access::Open, Access::Open, Path::Direct),
    RESTRICTED,
    apart(
        "symmetric-restricted",
        Access::Symmetric,
        Access::Restricted,
        Path::Line,
    ),
    apart(
        "symmetric-symmetric",
        Access::Symmetric,
        Access::Symmetric,
        Path::Line,
    ),
    apart("double-nat", Access::Twice, Access::Twice, Path::Direct),
    apart("udp-blocked", Access::Open, Access::RelayOnly, Path::Line),
    // Hole punching fails, because bob's NAT is symmetric: only the port mapping makes a direct
    // path possible.
    Topology {
        punches: false,
        ..apart(
            "port-mapping",
            Access::Mapping,
            Access::Symmetric,
            Path::Direct,
        )
    },
    Topology {
        place: Place::Together,
        change: Change::NewAddresses,
        ..apart("one-lan", Access::Open, Access::Open, Path::Direct)
    },
    changing("address-change", Change::Move),
    changing("rebinding", Change::Rebind),
    changing("sleep", Change::Sleep),
    // Hole punching over IPv4 fails, because both NATs are symmetric.
    Topology {
        punches: false,
        ..apart(
            "ipv6",
            Access::TwoFamilies,
            Access::TwoFamilies,
            Path::Direct,
        )
    },
    lossy("loss-1", 1),
    lossy("loss-5", 5),
    lossy("loss-20", 20),
    Topology {
        name: "loss-5-line",
        loss: 5,
        ..apart("", Access::Symmetric, Access::Symmetric, Path::Line)
    },
];

impl Topology {
    /// Returns the topology with this name.
    pub fn named(name: &str) -> Option<Self> {
        ALL.into_iter().find(|topology| topology.name == name)
    }

    /// Returns whether both sides have IPv6.
    pub fn speaks_ipv6(&self) -> bool {
        self.place == Place::Apart(Access::TwoFamilies, Access::TwoFamilies)
    }

    /// Returns whether a router of the topology maps ports on request.
    pub fn maps_ports(&self) -> bool {
        let Place::Apart(alice, bob) = self.place else {
            return false;
        };
        alice == Access::Mapping || bob == Access::Mapping
    }

    /// Returns the access of a side: 0 for alice, 1 for bob.
    pub fn access(&self, side: usize) -> Access {
        match self.place {
            Place::Apart(alice, _) if side == 0 => alice,
            Place::Apart(_, bob) => bob,
            Place::Together => Access::Restricted,
        }
    }
}

impl Access {
    /// Returns whether the mapping is endpoint-independent: one external port per socket.
    pub fn maps_alike(self) -> bool {
        !matches!(self, Self::Symmetric | Self::TwoFamilies)
    }

    /// Returns whether unsolicited datagrams get through.
    pub fn lets_in(self) -> bool {
        self == Self::Open
    }

    /// Returns whether hosts other than the relay can be reached.
    pub fn reaches_all(self) -> bool {
        self != Self::RelayOnly
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn names_are_unique() {
        let names: BTreeSet<&str> = ALL.iter().map(|topology| topology.name).collect();
        assert_eq!(names.len(), ALL.len());
    }
}
