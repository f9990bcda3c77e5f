//! The template for bots.

use crate::machine::Machine;
use m2_tests::scenario::eventually;

const BOT: &str = "m2-listen@door.service";
const PROGRAM: &str =
    "#!/bin/sh\nset -e\necho \"$M2_EVENT $GREETING\" >> \"$STATE_DIRECTORY/seen\"\n";
const SOCKET: &str = "/run/m2d-peer/m2d.sock";

#[tokio::test]
async fn a_bot_runs_its_program_for_each_event() {
    let Some(machine) = Machine::boot().await else {
        return;
    };
    // Without a program the bot does not start.
    let started = machine.output(&["systemctl", "start", BOT]).unwrap();
    assert!(!started.status.success());

    machine.write("/etc/m2d/listen/door", PROGRAM);
    machine.write("/etc/m2d/listen/door.env", "GREETING=hi\n");
    machine.sh("chmod 755 /etc/m2d/listen/door");
    machine.run(&["systemctl", "start", BOT]);
    // The bot's connection starts the daemon. Its place begins with the first event after that.
    eventually("the bot's place", async || {
        let clients = machine.run(&["m2", "client", "list"]);
        Ok(clients.contains("door").then_some(()))
    })
    .await
    .unwrap();
    machine.write(
        "/etc/m2d-peer/m2d.toml",
        "[network]\nlisten = [\"127.0.0.1:0\"]\n",
    );
    machine.run(&["systemctl", "start", "m2d@peer.service"]);
    machine.befriend(SOCKET).await;
    machine.run(&["m2", "--socket", SOCKET, "send", "main", "Open"]);
    let seen = "cat /var/lib/m2-listen-door/seen 2>/dev/null || true";
    eventually("the program", async || {
        let seen = machine.sh(seen);
        Ok(seen.contains("messageReceived hi\n").then_some(()))
    })
    .await
    .unwrap_or_else(|error| panic!("{error}\n{}", machine.log()));
    machine.run(&["systemctl", "stop", BOT]);
    assert_eq!(machine.show(BOT, "Result"), "success");
}
