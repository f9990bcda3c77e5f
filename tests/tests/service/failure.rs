//! The recipe that reports failed units.

use crate::machine::Machine;
use m2_tests::scenario::eventually;
use m2_tests::workspace;

const REPORT: &str = "clients/http/recipes/m2-failure@.service";
const SOCKET: &str = "/run/m2d-peer/m2d.sock";
const BROKEN: &str = "[Unit]\nOnFailure=m2-failure@%n.service\n[Service]\nType=oneshot\n\
    ExecStart=/bin/sh -c 'echo the disk is gone; exit 3'\n";

#[tokio::test]
async fn a_unit_that_fails_is_reported_to_a_contact() {
    let Some(machine) = Machine::boot().await else {
        return;
    };
    machine.write(
        "/etc/m2d-peer/m2d.toml",
        "[network]\nlisten = [\"127.0.0.1:0\"]\n",
    );
    machine.run(&["systemctl", "start", "m2d.socket", "m2d@peer.service"]);
    machine.befriend(SOCKET).await;
    let report = std::fs::read_to_string(workspace::root().unwrap().join(REPORT)).unwrap();
    machine.unit("m2-failure@.service", &report);
    machine.drop_in("m2-failure@.service", "Environment=M2_REPORT_TO=peer");
    machine.unit("broken.service", BROKEN);
    let started = machine.output(&["systemctl", "start", "broken.service"]);
    assert!(!started.unwrap().status.success());
    eventually("the report", async || {
        let history = machine.run(&["m2", "--socket", SOCKET, "history", "main"]);
        Ok(history.contains("broken.service failed on").then_some(()))
    })
    .await
    .unwrap_or_else(|error| panic!("{error}\n{}", machine.log()));
}
