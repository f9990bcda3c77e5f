//! Start, socket activation, kill, upgrade and stop of the system service.

use crate::machine::Machine;

const UNIT: &str = "m2d.service";

#[tokio::test]
async fn the_service_has_a_user_directories_and_a_socket_of_its_own() {
    let Some(machine) = Machine::boot().await else {
        return;
    };
    machine.run(&["systemctl", "start", UNIT]);
    // `m2` finds the socket of the system service by itself.
    let status = machine.run(&["m2", "status"]);
    assert!(status.contains("ready"), "{status}");
    assert!(status.contains("127.0.0.1:"), "{status}");
    let modes = "stat -c '%a %U %G' /run/m2d/m2d.sock /var/lib/m2d /var/lib/m2d/identity.pem";
    let expected = "660 m2d m2\n700 m2d m2d\n600 m2d m2d\n";
    assert_eq!(machine.sh(modes), expected);
    let process = machine.show(UNIT, "MainPID");
    let user = machine.sh(&format!("stat -c %U /proc/{process}"));
    assert_eq!(user.trim(), "m2d");

    machine.run(&["systemctl", "stop", UNIT]);
    assert_eq!(machine.show(UNIT, "Result"), "success");
    assert_eq!(machine.show(UNIT, "ExecMainStatus"), "0");
    assert!(machine.log().contains("stopped"), "{}", machine.log());
    // A drained store is one file. The socket is systemd's, so it stays until systemd removes it.
    machine.sh("test -e /var/lib/m2d/store.db && test ! -e /var/lib/m2d/store.db-wal");
    machine.sh("test -S /run/m2d/m2d.sock");
    machine.run(&["systemctl", "stop", "m2d.socket"]);
    machine.sh("test ! -e /run/m2d/m2d.sock");
    let gone = machine.output(&["m2", "status"]).unwrap();
    let told = String::from_utf8(gone.stderr).unwrap();
    assert_eq!(gone.status.code(), Some(3), "{told}");
    assert!(told.contains("/run/m2d/m2d.sock"), "{told}");
}

#[tokio::test]
async fn a_front_end_that_connects_starts_the_daemon() {
    let Some(machine) = Machine::boot().await else {
        return;
    };
    machine.run(&["systemctl", "start", "m2d.socket"]);
    assert_eq!(machine.show(UNIT, "ActiveState"), "inactive");
    let first = machine.run(&["m2", "id"]);
    assert_eq!(machine.show(UNIT, "ActiveState"), "active");
    // The socket outlives the daemon, so the next front-end starts it again.
    machine.run(&["systemctl", "stop", UNIT]);
    assert_eq!(machine.show(UNIT, "ActiveState"), "inactive");
    assert_eq!(machine.run(&["m2", "id"]), first);
    assert_eq!(machine.show(UNIT, "ActiveState"), "active");
}

#[tokio::test]
async fn a_killed_daemon_is_restarted_with_its_data_and_its_new_program() {
    let Some(machine) = Machine::boot().await else {
        return;
    };
    machine.drop_in(UNIT, "RestartSec=0");
    machine.run(&["systemctl", "start", UNIT]);
    let id = machine.run(&["m2", "id"]);
    let process = machine.show(UNIT, "MainPID");
    machine.sh(&format!("kill -9 {process}"));
    machine.await_property(UNIT, "NRestarts", "1").await;
    assert_eq!(machine.run(&["m2", "id"]), id);

    // An upgrade replaces the program of a running daemon, which then is restarted.
    machine.run(&["m2", "invite", "create", "--name", "ben"]);
    let inode = machine.upgrade();
    assert_eq!(machine.run(&["m2", "id"]), id);
    machine.run(&["systemctl", "restart", UNIT]);
    let process = machine.show(UNIT, "MainPID");
    let runs = machine.sh(&format!("stat -L -c %i /proc/{process}/exe"));
    assert_eq!(runs, inode);
    assert_eq!(machine.run(&["m2", "id"]), id);
    let invitations = machine.run(&["m2", "invite", "list"]);
    assert!(invitations.contains("ben"), "{invitations}");
}

#[tokio::test]
async fn a_failure_that_a_restart_can_not_fix_is_not_repeated() {
    let Some(machine) = Machine::boot().await else {
        return;
    };
    machine.write("/etc/m2d/m2d.toml", "[network]\nlisten = 7\n");
    let started = machine.output(&["systemctl", "start", UNIT]).unwrap();
    assert!(!started.status.success());
    assert_eq!(machine.show(UNIT, "ActiveState"), "failed");
    assert_eq!(machine.show(UNIT, "ExecMainStatus"), "2");
    assert_eq!(machine.show(UNIT, "NRestarts"), "0");
    assert!(
        machine.log().contains("/etc/m2d/m2d.toml"),
        "{}",
        machine.log()
    );
}
