//! Separate hosts on one machine: network namespaces that are removed when the lab is dropped.

use crate::skip::skip;
use anyhow::{Context as _, bail};
use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// Number of labs that this process has created, to give them distinct names.
static LABS: AtomicU32 = AtomicU32::new(0);

/// The prefix of the names of all hosts.
const NAME: &str = "m2t";

/// A set of hosts.
#[derive(Debug)]
pub struct Lab {
    prefix: String,
    hosts: Vec<String>,
}

impl Lab {
    /// Creates a lab with these hosts, not yet connected to each other. IPv6 is disabled, so that
    /// the hosts send no packets by themselves.
    ///
    /// Errors: the system does not permit it: see [`Lab::is_possible`].
    pub fn new(hosts: &[&str]) -> anyhow::Result<Self> {
        let number = LABS.fetch_add(1, Ordering::Relaxed);
        let mut lab = Self {
            prefix: format!("{NAME}{}-{number}", std::process::id()),
            hosts: Vec::new(),
        };
        for host in hosts {
            run(&["ip", "netns", "add", &lab.host(host)])?;
            lab.hosts.push((*host).to_owned());
            lab.run(host, &["ip", "link", "set", "lo", "up"])?;
            let settings = [
                ("net.ipv6.conf.all.disable_ipv6", "1"),
                ("net.ipv6.conf.default.disable_ipv6", "1"),
                // A relay has more than one address, so reverse path filtering could drop packets.
                ("net.ipv4.conf.all.rp_filter", "0"),
                ("net.ipv4.conf.default.rp_filter", "0"),
            ];
            lab.set(host, &settings)?;
        }
        Ok(lab)
    }

    /// Returns whether this system permits network namespaces; if not, reports the test as skipped.
    /// Requires root and iproute2.
    pub fn is_possible() -> bool {
        match Self::new(&["probe"]) {
            Ok(_) => true,
            Err(error) => {
                skip(&format!("network namespaces are not available: {error:#}"));
                false
            }
        }
    }

    /// Returns whether hosts can also have packet filters, as routers do; if not, reports the test
    /// as skipped. Requires root, iproute2, nftables, and a kernel with NAT.
    pub fn can_route() -> bool {
        let tried = Self::new(&["probe"]).and_then(|lab| {
            let rules = "table inet probe { chain post { type nat hook postrouting priority 100; \
                         oifname wan meta l4proto udp masquerade fully-random; }; \
                         chain loss { type filter hook forward priority 0; \
                         numgen random mod 100 < 5 ct state new drop; }; }";
            lab.rules("probe", rules)
        });
        if let Err(error) = &tried {
            skip(&format!("hosts cannot act as routers: {error:#}"));
        }
        tried.is_ok()
    }

    /// Removes the hosts of labs whose process was killed before it could remove them. Called by
    /// programs, not by tests: one call per run is enough.
    ///
    /// Errors: iproute2 is not installed.
    pub fn sweep() -> anyhow::Result<()> {
        let names = run(&["ip", "netns", "list"])?;
        let names = names.lines().filter_map(|line| line.split(' ').next());
        let dead: BTreeSet<&str> = names.filter(|name| is_left_over(name)).collect();
        for name in dead {
            // Another process may be removing it at the same time.
            let _ = run(&["ip", "netns", "del", name]);
        }
        Ok(())
    }

    /// Returns the namespace of a host, for [`Setup::within`](super::Setup::within).
    pub fn host(&self, name: &str) -> String {
        format!("{}-{name}", self.prefix)
    }

    /// Sets kernel parameters (sysctl) of a host. Parameters that the kernel does not have are
    /// ignored.
    ///
    /// Errors: the kernel rejects a value.
    pub fn set(&self, host: &str, settings: &[(&str, &str)]) -> anyhow::Result<()> {
        let lines = settings.iter().map(|(key, value)| {
            let path = format!("/proc/sys/{}", key.replace('.', "/"));
            format!("[ ! -e {path} ] || echo {value} > {path} || exit 1; ")
        });
        self.run(host, &["sh", "-c", &lines.collect::<String>()])?;
        Ok(())
    }

    /// Connects two hosts by a virtual Ethernet pair. Each end is a host, an interface name, and an
    /// address with prefix length, or an empty address for none.
    ///
    /// Errors: a command fails.
    pub fn link(&self, one: (&str, &str, &str), other: (&str, &str, &str)) -> anyhow::Result<()> {
        let (here, there) = (self.host(one.0), self.host(other.0));
        let pair = [
            "ip", "-n", &here, "link", "add", one.1, "type", "veth", "peer", "name", other.1,
            "netns", &there,
        ];
        run(&pair)?;
        for (host, interface, address) in [one, other] {
            if !address.is_empty() {
                self.run(host, &["ip", "addr", "add", address, "dev", interface])?;
            }
            self.run(host, &["ip", "link", "set", interface, "up"])?;
        }
        Ok(())
    }

    /// Connects hosts to a new bridge on the host `hub`, each by an interface named `world`.
    ///
    /// Errors: a command fails.
    pub fn bridge(&self, hub: &str, hosts: &[(&str, &str)]) -> anyhow::Result<()> {
        self.switch(hub, "br0")?;
        for (host, address) in hosts {
            self.plug((host, "world", address), (hub, "br0"))?;
        }
        Ok(())
    }

    /// Creates a bridge on a host.
    ///
    /// Errors: a command fails.
    pub fn switch(&self, hub: &str, bridge: &str) -> anyhow::Result<()> {
        self.run(hub, &["ip", "link", "add", bridge, "type", "bridge"])?;
        self.run(hub, &["ip", "link", "set", bridge, "up"])?;
        Ok(())
    }

    /// Connects a host to a bridge, by an interface with this name and address.
    ///
    /// Errors: a command fails.
    pub fn plug(&self, host: (&str, &str, &str), bridge: (&str, &str)) -> anyhow::Result<()> {
        let port = format!("p-{}", host.0);
        self.link(host, (bridge.0, &port, ""))?;
        self.run(bridge.0, &["ip", "link", "set", &port, "master", bridge.1])?;
        Ok(())
    }

    /// Sets the default route of a host.
    ///
    /// Errors: the host has no route to the gateway.
    pub fn default_route(&self, host: &str, gateway: &str) -> anyhow::Result<()> {
        self.run(host, &["ip", "route", "replace", "default", "via", gateway])?;
        Ok(())
    }

    /// Adds nftables rules to a host, keeping those it has.
    ///
    /// Errors: nftables rejects the rules.
    pub fn rules(&self, host: &str, rules: &str) -> anyhow::Result<()> {
        let mut command = self.command(host, "nft");
        command.args(["-f", "-"]).stdin(Stdio::piped());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().context("nft cannot be run")?;
        let mut stdin = child.stdin.take().context("no standard input")?;
        stdin.write_all(rules.as_bytes())?;
        drop(stdin);
        let output = child.wait_with_output()?;
        if !output.status.success() {
            let complaint = String::from_utf8_lossy(&output.stderr);
            bail!("nft: {}", complaint.trim());
        }
        Ok(())
    }

    /// Runs a command on a host. Returns its standard output.
    ///
    /// Errors: the command fails.
    pub fn run(&self, host: &str, command: &[&str]) -> anyhow::Result<String> {
        let namespace = self.host(host);
        let mut whole = vec!["ip", "netns", "exec", &namespace];
        whole.extend(command);
        run(&whole)
    }

    /// Returns a command that runs a program on a host. Its process id is that of the program.
    pub fn command(&self, host: &str, program: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.host(host), program]);
        command
    }

    /// Returns the number of packets that a host has sent on an interface.
    ///
    /// Errors: the interface does not exist.
    pub fn sent(&self, host: &str, interface: &str) -> anyhow::Result<u64> {
        let file = format!("/sys/class/net/{interface}/statistics/tx_packets");
        let count = self.run(host, &["cat", &file])?;
        Ok(count.trim().parse()?)
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        for host in &self.hosts {
            // If a namespace cannot be deleted, nothing more can be done.
            let _ = run(&["ip", "netns", "del", &self.host(host)]);
        }
    }
}

/// Returns whether a namespace belongs to a lab whose process no longer exists.
fn is_left_over(name: &str) -> bool {
    let process = name
        .strip_prefix(NAME)
        .and_then(|rest| rest.split_once('-'))
        .map(|(process, _)| process)
        .filter(|process| process.parse::<u32>().is_ok());
    process.is_some_and(|process| !Path::new("/proc").join(process).exists())
}

fn run(command: &[&str]) -> anyhow::Result<String> {
    let (program, arguments) = command.split_first().context("no command")?;
    let output = Command::new(program)
        .args(arguments)
        .output()
        .with_context(|| format!("{program} cannot be run"))?;
    if !output.status.success() {
        let complaint = String::from_utf8_lossy(&output.stderr);
        bail!("{}: {}", command.join(" "), complaint.trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_hosts_of_dead_processes_are_left_over() {
        let own = format!("{NAME}{}-0-alice", std::process::id());
        assert!(!is_left_over(&own));
        assert!(is_left_over("m2t4294967295-0-alice"));
        for other in ["", "m2t", "m2t-0-alice", "m2tx-0-alice", "nl-a"] {
            assert!(!is_left_over(other), "{other}");
        }
    }
}
