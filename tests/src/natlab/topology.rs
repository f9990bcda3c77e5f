//! Which networks there are, and what is to be expected of each.

use m2_proto::api::v1::Path;

/// How one side is connected to the rest of the world.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// By an address of its own, with nothing before it.
    Open,
    /// Behind a router that gives a socket one port for all peers and lets in who was written to.
    Restricted,
    /// Behind a router that gives a socket another port for each peer.
    Symmetric,
    /// Behind two routers, at home and at the provider, both of the first kind.
    Twice,
    /// Behind a router of the first kind that lets UDP pass to the relay alone.
    RelayOnly,
    /// Behind a router of the first kind that opens ports when asked.
    Mapping,
    /// As behind a symmetric router, which passes IPv6 on as it is to who was written to.
    TwoFamilies,
}

/// Where the two sides are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Each in a network of its own.
    Apart(Access, Access),
    /// Both in one, behind one router.
    Together,
}

/// What happens while the two talk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Nothing.
    None,
    /// Bob's host goes to another network.
    Move,
    /// Bob's router forgets what it knew, and gives other ports from then on.
    Rebind,
    /// Bob's host sleeps, and wakes up behind a router that forgot what it knew.
    Sleep,
    /// Both hosts get other addresses while the daemons are down, so that what they know of each
    /// other is of no use.
    NewAddresses,
}

/// A network, and what is to be expected of two contacts in it.
#[derive(Debug, Clone, Copy)]
pub struct Topology {
    /// What it is called on the command line and in the table.
    pub name: &'static str,
    /// Where alice and bob are.
    pub place: Place,
    /// What happens to them.
    pub change: Change,
    /// Of 100 datagrams through alice's router so many are lost, in each direction.
    pub loss: u32,
    /// Whether two plain sockets come through when both send at the same time.
    pub punches: bool,
    /// The path that two contacts come to (spec §8).
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
    // Bob could not be punched through to: without the mapping there is no direct path.
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
    // By IPv4 they could not be punched through to.
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
    /// The one with this name.
    pub fn named(name: &str) -> Option<Self> {
        ALL.into_iter().find(|topology| topology.name == name)
    }

    /// Whether both sides speak IPv6.
    pub fn speaks_ipv6(&self) -> bool {
        self.place == Place::Apart(Access::TwoFamilies, Access::TwoFamilies)
    }

    /// Whether one of its routers opens ports when asked.
    pub fn maps_ports(&self) -> bool {
        let Place::Apart(alice, bob) = self.place else {
            return false;
        };
        alice == Access::Mapping || bob == Access::Mapping
    }

    /// The access of the side with this number.
    pub fn access(&self, side: usize) -> Access {
        match self.place {
            Place::Apart(alice, _) if side == 0 => alice,
            Place::Apart(_, bob) => bob,
            Place::Together => Access::Restricted,
        }
    }
}

impl Access {
    /// Whether a socket has one port for all peers.
    pub fn maps_alike(self) -> bool {
        !matches!(self, Self::Symmetric | Self::TwoFamilies)
    }

    /// Whether somebody who was not written to gets through.
    pub fn lets_in(self) -> bool {
        self == Self::Open
    }

    /// Whether there is a way to others than the relay.
    pub fn reaches_all(self) -> bool {
        self != Self::RelayOnly
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn names_differ() {
        let names: BTreeSet<&str> = ALL.iter().map(|topology| topology.name).collect();
        assert_eq!(names.len(), ALL.len());
    }
}
