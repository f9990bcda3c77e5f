//! Instances of the template, and the daemon's roles within the hardening of the units.

use crate::machine::Machine;
use m2_tests::scenario::eventually;

const MAIN: &str = "m2d.service";
const WORK: &str = "m2d@work.service";
/// Both roles, and a log that also names refused system calls.
const ROLES: &str = "[network]\nlisten = [\"0.0.0.0:0\"]\n[log]\nfilter = \"debug\"\n\
                     [mailbox]\nserve = true\n[relay]\nserve = true\n";
/// The text of EPERM, by which the hardening refuses a system call.
const REFUSED: &str = "Operation not permitted";

/// The main daemon is a provider and a relay; the instance is its contact and uses both roles.
#[tokio::test]
async fn an_instance_has_its_own_user_and_uses_the_roles_of_the_main_daemon() {
    let Some(machine) = Machine::boot().await else {
        return;
    };
    machine.write("/etc/m2d/m2d.toml", ROLES);
    machine.write("/etc/m2d-work/m2d.toml", "[log]\nfilter = \"debug\"\n");
    // A network of its own, in which look-up finds an address and can multicast.
    machine.sh("ip link add v0 type veth peer name v1 && ip addr add 10.9.8.7/24 dev v0");
    machine.sh("ip link set v0 up && ip link set v1 up");
    machine.run(&["systemctl", "start", MAIN, WORK]);
    let main = |arguments: &[&str]| machine.run(&[&["m2"], arguments].concat());
    let socket = "/run/m2d-work/m2d.sock";
    let work = |arguments: &[&str]| machine.run(&[&["m2", "--socket", socket], arguments].concat());
    assert_ne!(main(&["id"]), work(&["id"]));

    // No user can read the data of the other.
    let user = |unit: &str| {
        let process = machine.show(unit, "MainPID");
        machine
            .sh(&format!("stat -c %u /proc/{process}"))
            .trim()
            .to_owned()
    };
    assert_ne!(user(MAIN), user(WORK));
    let owner = machine.sh("stat -L -c '%u %a' /var/lib/m2d-work");
    assert_eq!(owner.trim(), format!("{} 700", user(WORK)));
    assert_eq!(machine.sh(&format!("stat -c '%a %G' {socket}")), "660 m2\n");

    // Sessions, mailboxes and lines work.
    machine.befriend(socket).await;
    work(&["send", "main", "--wait", "delivered", "Hello"]);
    let history = main(&["history", "peer"]);
    assert!(history.contains("Hello"), "{history}");
    work(&["mailbox", "register", &machine.invite("box")]);
    eventually("the box", async || {
        Ok(main(&["status"]).contains("1 boxes").then_some(()))
    })
    .await
    .unwrap();
    work(&["line", "add", &machine.invite("relay")]);
    eventually("the line", async || {
        let lines = work(&["line", "list"]);
        Ok(lines.contains("meeting  yes").then_some(()))
    })
    .await
    .unwrap();

    // Look-up reads the addresses over netlink and multicasts.
    eventually("look-up", async || {
        let network = main(&["network", "status"]);
        let has_address = network.contains("10.9.8.7:") && network.contains("interface");
        let in_lan = network.contains("lan      works");
        Ok((has_address && in_lan).then_some(()))
    })
    .await
    .unwrap();
    let log = machine.log();
    assert!(!log.contains(REFUSED), "{log}");
}
