//! The passphrase of the identity as a credential.

use crate::machine::Machine;

const UNIT: &str = "m2d.service";

#[tokio::test]
async fn a_credential_protects_and_opens_the_identity() {
    let Some(machine) = Machine::boot().await else {
        return;
    };
    machine.sh("mkdir -m 700 /etc/credstore && echo hush > /etc/credstore/m2d-passphrase");
    machine.sh("chmod 600 /etc/credstore/m2d-passphrase");
    machine.run(&["systemctl", "start", UNIT]);
    let status = machine.run(&["m2", "status"]);
    assert!(
        status.contains("ready") && !status.contains("passphrase"),
        "{status}"
    );
    machine.sh("grep -q ENCRYPTED /var/lib/m2d/identity.pem");
    let id = machine.run(&["m2", "id"]);

    // The wrong passphrase is a failure that a restart can't fix.
    machine.run(&["systemctl", "stop", UNIT]);
    machine.sh("echo wrong > /etc/credstore/m2d-passphrase");
    let started = machine.output(&["systemctl", "start", UNIT]).unwrap();
    assert!(!started.status.success());
    assert_eq!(machine.show(UNIT, "ExecMainStatus"), "3");

    // Without a credential the user unlocks it.
    machine.sh("rm /etc/credstore/m2d-passphrase");
    machine.run(&["systemctl", "start", UNIT]);
    let status = machine.run(&["m2", "status"]);
    assert!(status.contains("locked"), "{status}");
    machine.sh("echo hush | m2 unlock --passphrase-file -");
    assert_eq!(machine.run(&["m2", "id"]), id);
}
