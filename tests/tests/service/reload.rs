//! Reloads of the configuration.

use crate::machine::{CONFIG, Machine};
use m2_proto::api::v1::MessageState;
use m2_tests::scenario::{Api, Trio, eventually};
use std::fs;

const UNIT: &str = "m2d.service";
const FILE: &str = "/etc/m2d/m2d.toml";

#[tokio::test]
async fn a_reload_applies_what_it_can_and_names_the_rest() {
    let Some(machine) = Machine::boot().await else {
        return;
    };
    machine.run(&["systemctl", "start", UNIT]);
    let process = machine.show(UNIT, "MainPID");
    assert!(!machine.log().contains(" DEBUG "), "{}", machine.log());

    let loopback = CONFIG;
    let verbose = format!("{loopback}[log]\nfilter = \"debug\"\n");
    machine.write(FILE, &verbose);
    machine.run(&["systemctl", "reload", UNIT]);
    machine.await_log("in force setting=[log] filter").await;
    machine.sh("M2_TOKEN=m2t_wrong m2 status || true");
    machine.await_log("a call is refused").await;
    assert!(!status(&machine).contains("next start of the daemon"));

    // An invalid file changes nothing.
    machine.write(FILE, &format!("{verbose}colour = true\n"));
    machine.run(&["systemctl", "reload", UNIT]);
    machine.await_log("so nothing was reloaded").await;
    let told = status(&machine);
    assert!(
        told.contains("was not reloaded") && told.contains(FILE),
        "{told}"
    );

    // A setting that needs a restart is named, in the log and by `m2 status`.
    machine.write(FILE, &format!("{verbose}[relay]\nserve = true\n"));
    machine.run(&["systemctl", "reload", UNIT]);
    machine
        .await_log("at the next start setting=[relay] serve")
        .await;
    let waits = "next start of the daemon: [relay] serve.";
    await_status(&machine, |told| told.contains(waits)).await;
    assert!(!status(&machine).contains("was not reloaded"));

    // The warning ends when the setting has its earlier value again.
    machine.write(FILE, &verbose);
    machine.run(&["systemctl", "reload", UNIT]);
    await_status(&machine, |told| !told.contains("next start of the daemon")).await;
    machine.await_property(UNIT, "ActiveState", "active").await;
    assert_eq!(machine.show(UNIT, "MainPID"), process);
    assert_eq!(machine.show(UNIT, "NRestarts"), "0");
}

/// A letter that would wait for a day is deposited once the engine knows the shorter time.
#[tokio::test]
async fn a_reload_reaches_the_engine() {
    let mut trio = Trio::start().await.unwrap();
    trio.consent().await.unwrap();
    let file = trio.alice.config();
    let soon = fs::read_to_string(&file).unwrap();
    let late = soon.replace("after_s = 1\n", "after_s = 86400\n");
    assert_ne!(late, soon);
    fs::write(&file, late).unwrap();
    trio.alice.stop().await.unwrap();
    trio.alice.restart().await.unwrap();
    trio.bob.stop().await.unwrap();
    let alice = Api::of(&trio.alice).await.unwrap();
    let id = alice.send("bob", "Hello").await.unwrap();
    fs::write(&file, soon).unwrap();
    trio.alice.signal("HUP").await.unwrap();
    let deposited = MessageState::Deposited;
    alice.await_message(&id, deposited).await.unwrap();
}

fn status(machine: &Machine) -> String {
    machine.run(&["m2", "status"])
}

async fn await_status(machine: &Machine, is_met: impl Fn(&str) -> bool) {
    eventually("the warnings of `m2 status`", async || {
        Ok(is_met(&status(machine)).then_some(()))
    })
    .await
    .unwrap();
}
