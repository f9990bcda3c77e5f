//! What happens to a network while somebody uses it.

use super::net::{Net, SIDES};
use super::rules;
use super::topology::Change;

impl Net {
    /// Lets happen what the topology says.
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

    /// As when a laptop leaves one radio network and joins another.
    fn move_bob(&self) -> anyhow::Result<()> {
        let commands = "ip addr flush dev eth0; ip link set eth0 down; \
                        ip link set eth1 up && ip addr add 192.168.9.2/24 dev eth1 && \
                        ip route add default via 192.168.9.1";
        self.lab().run("bob", &["sh", "-c", commands])?;
        Ok(())
    }

    /// As when a router is restarted: the kernel forgets connections of an interface that goes
    /// down.
    fn rebind(&self) -> anyhow::Result<()> {
        self.lab().rules("r1", &rules::other_ports())?;
        let commands = "ip link set wan down && ip link set wan up";
        self.lab().run("r1", &["sh", "-c", commands])?;
        Ok(())
    }

    /// As when the router gives addresses anew.
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
