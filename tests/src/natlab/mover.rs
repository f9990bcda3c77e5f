//! The changes of a network while daemons use it.

use super::net::{Net, SIDES};
use super::rules;
use super::topology::Change;

impl Net {
    /// Applies the topology's change.
    ///
    /// Errors: a command fails.
    pub fn change(&self) -> anyhow::Result<()> {
        match self.topology().change {
            Change::None => Ok(()),
            Change::Move => self.move_bob(),
            Change::Rebind | Change::Sleep => self.rebind(),
            Change::NewAddresses => self.new_addresses(),
        }
    }

    /// Moves bob's host to another network, like a laptop that changes from one Wi-Fi network to
    /// another.
    fn move_bob(&self) -> anyhow::Result<()> {
        let commands = "ip addr flush dev eth0; ip link set eth0 down; \
                        ip link set eth1 up && ip addr add 192.168.9.2/24 dev eth1 && \
                        ip route add default via 192.168.9.1";
        self.lab().run("bob", &["sh", "-c", commands])?;
        Ok(())
    }

    /// Drops the mappings of bob's router, like a restart: the kernel forgets the connections of an
    /// interface that goes down.
    fn rebind(&self) -> anyhow::Result<()> {
        self.lab().rules("r1", &rules::other_ports())?;
        let commands = "ip link set wan down && ip link set wan up";
        self.lab().run("r1", &["sh", "-c", commands])?;
        Ok(())
    }

    /// Changes the addresses of both hosts, as after new DHCP leases.
    fn new_addresses(&self) -> anyhow::Result<()> {
        for (number, host) in (72..).zip(SIDES) {
            let commands = format!(
                "ip addr flush dev eth0; ip addr add 192.168.1.{number}/24 dev eth0 && \
                 ip route add default via 192.168.1.1"
            );
            self.lab().run(host, &["sh", "-c", &commands])?;
        }
        Ok(())
    }
}
