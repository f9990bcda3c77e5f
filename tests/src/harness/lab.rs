//! Hosts of their own on one machine: network namespaces that go when the lab is dropped.

use anyhow::{Context as _, bail};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

/// Labs of this process, so that their names differ.
static LABS: AtomicU32 = AtomicU32::new(0);

/// Some hosts, and the links between them.
#[derive(Debug)]
pub struct Lab {
    prefix: String,
    hosts: Vec<String>,
}

impl Lab {
    /// A lab with these hosts, which nothing connects yet. They speak no IPv6, so that nothing
    /// leaves them by itself.
    ///
    /// Errors: the system does not let us: see [`Lab::is_possible`].
    pub fn new(hosts: &[&str]) -> anyhow::Result<Self> {
        let number = LABS.fetch_add(1, Ordering::Relaxed);
        let mut lab = Self {
            prefix: format!("m2t{}-{number}", std::process::id()),
            hosts: Vec::new(),
        };
        for host in hosts {
            run(&["ip", "netns", "add", &lab.host(host)])?;
            lab.hosts.push((*host).to_owned());
            lab.run(host, &["ip", "link", "set", "lo", "up"])?;
            let settings = [
                "net.ipv6.conf.all.disable_ipv6=1",
                "net.ipv6.conf.default.disable_ipv6=1",
                // A relay has more than one address.
                "net.ipv4.conf.all.rp_filter=0",
                "net.ipv4.conf.default.rp_filter=0",
            ];
            for setting in settings {
                let (key, value) = setting.split_once('=').unwrap_or((setting, ""));
                let path = format!("/proc/sys/{}", key.replace('.', "/"));
                let write = format!("[ ! -e {path} ] || echo {value} > {path}");
                lab.run(host, &["sh", "-c", &write])?;
            }
        }
        Ok(lab)
    }

    /// Whether this system lets us make hosts; if not, says so loudly. It takes root and
    /// iproute2.
    pub fn is_possible() -> bool {
        match Self::new(&["probe"]) {
            Ok(_) => true,
            Err(error) => {
                eprintln!("SKIPPED: no network namespaces here: {error:#}");
                false
            }
        }
    }

    /// The namespace of a host, for [`Setup::within`](super::Setup::within).
    pub fn host(&self, name: &str) -> String {
        format!("{}-{name}", self.prefix)
    }

    /// Connects two hosts, each by an interface of that name and with that address and prefix
    /// length.
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

    /// Connects hosts to a bridge of the host `hub`, each by an interface `world`.
    ///
    /// Errors: a command fails.
    pub fn bridge(&self, hub: &str, hosts: &[(&str, &str)]) -> anyhow::Result<()> {
        self.run(hub, &["ip", "link", "add", "br0", "type", "bridge"])?;
        self.run(hub, &["ip", "link", "set", "br0", "up"])?;
        for (host, address) in hosts {
            let port = format!("p-{host}");
            self.link((host, "world", address), (hub, &port, ""))?;
            self.run(hub, &["ip", "link", "set", &port, "master", "br0"])?;
        }
        Ok(())
    }

    /// Runs a command on a host. Returns what it printed.
    ///
    /// Errors: it fails.
    pub fn run(&self, host: &str, command: &[&str]) -> anyhow::Result<String> {
        let namespace = self.host(host);
        let mut whole = vec!["ip", "netns", "exec", &namespace];
        whole.extend(command);
        run(&whole)
    }

    /// Packets that ever left a host by an interface.
    ///
    /// Errors: there is no such interface.
    pub fn sent(&self, host: &str, interface: &str) -> anyhow::Result<u64> {
        let file = format!("/sys/class/net/{interface}/statistics/tx_packets");
        let count = self.run(host, &["cat", &file])?;
        Ok(count.trim().parse()?)
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        for host in &self.hosts {
            // Nothing can be done about one that stays.
            let _ = run(&["ip", "netns", "del", &self.host(host)]);
        }
    }
}

fn run(command: &[&str]) -> anyhow::Result<String> {
    let (program, arguments) = command.split_first().context("no command")?;
    let output = Command::new(program)
        .args(arguments)
        .output()
        .with_context(|| format!("{program} can't be run"))?;
    if !output.status.success() {
        let complaint = String::from_utf8_lossy(&output.stderr);
        bail!("{}: {}", command.join(" "), complaint.trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
