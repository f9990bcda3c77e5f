//! Builds a topology from hosts of a lab.

use super::gateway::Gateway;
use super::rules::{self, Translation};
use super::topology::{Access, Change, Place, Topology};
use crate::harness::Lab;
use std::net::{Ipv4Addr, Ipv6Addr};

/// The relay's address. The lab's Internet is not connected to the real one. Its addresses are ones
/// that the real Internet could have, since programs rightly treat the ranges reserved for
/// documentation as unreachable.
pub(super) const RELAY: Ipv4Addr = Ipv4Addr::new(11, 9, 0, 10);

/// The address of a second host with a public address, used only by probes.
pub(super) const FAR: Ipv4Addr = Ipv4Addr::new(11, 9, 0, 11);

/// The prefix of all IPv6 addresses.
const SIX: &str = "2a00:9:0";

/// The host that connects all others: the lab's Internet.
const INTERNET: &str = "net";

/// The bridge on that host to which all public addresses are connected.
const BACKBONE: &str = "br0";

/// The address of the backbone's host, the default gateway. It forwards nothing.
const NOWHERE: &str = "11.9.0.1";

/// The names of the two peers' hosts.
pub(super) const SIDES: [&str; 2] = ["alice", "bob"];

/// The hosts of a topology. Dropping it removes them.
#[derive(Debug)]
pub struct Net {
    topology: Topology,
    /// Declared before the lab, so that it stops before its host is removed.
    gateway: Option<Gateway>,
    lab: Lab,
}

impl Net {
    /// Builds a topology.
    ///
    /// Errors: the system does not permit it, see [`Lab::can_route`], or miniupnpd is required and
    /// not installed.
    pub fn build(topology: Topology) -> anyhow::Result<Self> {
        let lab = Lab::new(&hosts(&topology))?;
        lab.switch(INTERNET, BACKBONE)?;
        let own = [
            "ip",
            "addr",
            "add",
            &format!("{NOWHERE}/24"),
            "dev",
            BACKBONE,
        ];
        lab.run(INTERNET, &own)?;
        let mut net = Self {
            topology,
            gateway: None,
            lab,
        };
        net.open("relay", RELAY.octets()[3])?;
        net.open("far", FAR.octets()[3])?;
        match topology.place {
            Place::Apart(alice, bob) => {
                net.side(0, alice)?;
                net.side(1, bob)?;
            }
            Place::Together => net.one_lan()?,
        }
        if topology.loss > 0 {
            net.lab.rules("r0", &rules::loss(topology.loss))?;
        }
        Ok(net)
    }

    /// Returns the topology.
    pub fn topology(&self) -> &Topology {
        &self.topology
    }

    /// Returns the lab with its hosts: `relay`, `far`, `alice`, `bob` and routers.
    pub fn lab(&self) -> &Lab {
        &self.lab
    }

    /// Returns the log of the router that maps ports, or an empty string.
    pub(super) fn gateway_log(&self) -> String {
        self.gateway.as_ref().map(Gateway::log).unwrap_or_default()
    }

    /// Connects a host with a public address, whose last byte is `number`.
    fn open(&self, host: &str, number: u8) -> anyhow::Result<()> {
        self.plug(host, number)?;
        self.lab.default_route(host, NOWHERE)
    }

    /// Connects a host to the lab's Internet by an interface named `wan`.
    fn plug(&self, host: &str, number: u8) -> anyhow::Result<()> {
        let address = format!("11.9.0.{number}/24");
        self.lab.plug((host, "wan", &address), (INTERNET, BACKBONE))
    }

    fn side(&mut self, side: u8, access: Access) -> anyhow::Result<()> {
        let host = if side == 0 { SIDES[0] } else { SIDES[1] };
        if access == Access::Open {
            return self.open(host, 101 + side);
        }
        let router = format!("r{side}");
        self.lan(host, "eth0", &router, 1 + side)?;
        match access {
            Access::Twice => self.provider(side, &router)?,
            _ => self.plug(&router, 21 + side)?,
        }
        let translation = match access {
            Access::Symmetric | Access::TwoFamilies => Translation::Differently,
            _ => Translation::Alike,
        };
        self.route(&router, translation, access == Access::RelayOnly)?;
        if access == Access::TwoFamilies {
            self.six(side, host, &router)?;
        }
        if access == Access::Mapping {
            self.lab.rules(&router, rules::mapping())?;
            self.gateway = Some(Gateway::start(&self.lab, &router, 1 + side)?);
        }
        if side == 1 && self.topology.change == Change::Move {
            self.other_lan(host)?;
        }
        Ok(())
    }

    /// Connects a host to its router by a private network.
    fn lan(&self, host: &str, interface: &str, router: &str, number: u8) -> anyhow::Result<()> {
        let own = format!("192.168.{number}.2/24");
        let gateway = format!("192.168.{number}.1");
        self.lab.link(
            (host, interface, &own),
            (router, "lan", &format!("{gateway}/24")),
        )?;
        self.lab.default_route(host, &gateway)
    }

    /// Puts the ISP's router in front of the home router.
    fn provider(&self, side: u8, router: &str) -> anyhow::Result<()> {
        let provider = format!("p{side}");
        let gateway = format!("100.64.{side}.1");
        self.lab.link(
            (router, "wan", &format!("100.64.{side}.2/24")),
            (&provider, "lan", &format!("{gateway}/24")),
        )?;
        self.lab.default_route(router, &gateway)?;
        self.plug(&provider, 31 + side)?;
        self.route(&provider, Translation::Alike, false)
    }

    /// Prepares the network to which bob's host will move; its interface is still down.
    fn other_lan(&self, host: &str) -> anyhow::Result<()> {
        let gateway = "192.168.9.1/24";
        self.lab.link((host, "eth1", ""), ("r2", "lan", gateway))?;
        self.lab.run(host, &["ip", "link", "set", "eth1", "down"])?;
        self.plug("r2", 23)?;
        self.route("r2", Translation::Alike, false)
    }

    /// Configures IPv6 on a host and its router, and a route from the router to the other side.
    fn six(&self, side: u8, host: &str, router: &str) -> anyhow::Result<()> {
        let other = 1 - side;
        let commands = [
            (
                host,
                format!("ip addr add {}/64 dev eth0 nodad", ipv6(side)),
            ),
            (
                router,
                format!("ip addr add {SIX}:{side}::1/64 dev lan nodad"),
            ),
            (
                router,
                format!("ip addr add {SIX}:ff::{side}/64 dev wan nodad"),
            ),
            (host, format!("ip -6 route add default via {SIX}:{side}::1")),
            (
                router,
                format!("ip -6 route add {SIX}:{other}::/64 via {SIX}:ff::{other}"),
            ),
        ];
        for host in [host, router] {
            let on = [
                ("net.ipv6.conf.all.disable_ipv6", "0"),
                ("net.ipv6.conf.all.accept_ra", "0"),
            ];
            self.lab.set(host, &on)?;
        }
        let forward = [("net.ipv6.conf.all.forwarding", "1")];
        self.lab.set(router, &forward)?;
        for (host, command) in commands {
            let command: Vec<&str> = command.split(' ').collect();
            self.lab.run(host, &command)?;
        }
        Ok(())
    }

    fn one_lan(&self) -> anyhow::Result<()> {
        self.lab.switch("r0", "lan")?;
        let own = ["ip", "addr", "add", "192.168.1.1/24", "dev", "lan"];
        self.lab.run("r0", &own)?;
        for (number, host) in (2..).zip(SIDES) {
            let address = format!("192.168.1.{number}/24");
            self.lab.plug((host, "eth0", &address), ("r0", "lan"))?;
            self.lab.default_route(host, "192.168.1.1")?;
        }
        self.plug("r0", 21)?;
        self.route("r0", Translation::Alike, false)
    }

    fn route(
        &self,
        router: &str,
        translation: Translation,
        relay_only: bool,
    ) -> anyhow::Result<()> {
        self.lab.set(router, &[("net.ipv4.ip_forward", "1")])?;
        let rules = rules::router(translation, relay_only);
        self.lab.rules(router, &rules)
    }
}

/// Returns the IPv6 address of a side's host, in topologies with IPv6.
pub(super) fn ipv6(side: u8) -> Ipv6Addr {
    Ipv6Addr::new(0x2a00, 0x9, 0, side.into(), 0, 0, 0, 2)
}

fn hosts(topology: &Topology) -> Vec<&'static str> {
    let mut hosts = vec![INTERNET, "relay", "far", "alice", "bob"];
    let routers: &[(&str, &str)] = &[("r0", "p0"), ("r1", "p1")];
    match topology.place {
        Place::Together => hosts.push("r0"),
        Place::Apart(..) => {
            for (side, (router, provider)) in routers.iter().enumerate() {
                match topology.access(side) {
                    Access::Open => {}
                    Access::Twice => hosts.extend([*router, *provider]),
                    _ => hosts.push(router),
                }
            }
        }
    }
    if topology.change == Change::Move {
        hosts.push("r2");
    }
    hosts
}
