//! The watchdog: a daemon that hangs is restarted, one that works is not.

use crate::machine::Machine;
use m2_tests::scenario::eventually;
use m2_tests::skip::skip;
use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

const UNIT: &str = "m2d.service";
const SHORT: &str = "WatchdogSec=6\nRestartSec=0";

#[tokio::test]
async fn a_daemon_that_is_stopped_is_restarted() {
    let Some(machine) = Machine::boot().await else {
        return;
    };
    machine.drop_in(UNIT, SHORT);
    machine.run(&["systemctl", "start", UNIT]);
    let id = machine.run(&["m2", "id"]);
    let process = machine.show(UNIT, "MainPID");
    machine.sh(&format!("kill -STOP {process}"));
    machine.await_property(UNIT, "NRestarts", "1").await;
    assert_eq!(machine.run(&["m2", "id"]), id);
    assert_ne!(machine.show(UNIT, "MainPID"), process);
}

/// Every other thread works: the daemon still accepts connections and could still notify systemd.
#[tokio::test]
async fn an_engine_that_hangs_is_restarted() {
    let Some(machine) = Machine::boot().await else {
        return;
    };
    if let Err(error) = machine.compile("stall", include_str!("stall.c")) {
        return skip(&format!("{error:#}"));
    }
    machine.drop_in(UNIT, SHORT);
    machine.run(&["systemctl", "start", UNIT]);
    is_fed(&machine).await;
    assert_eq!(machine.show(UNIT, "NRestarts"), "0");
    let process = machine.show(UNIT, "MainPID");
    let thread = machine.sh(&format!(
        "grep -l '^m2d-engine$' /proc/{process}/task/*/comm | cut -d / -f 5"
    ));
    let mut stall = machine.command(&["stall", thread.trim()]);
    let mut stall = stall.stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    let output = stall.stdout.take().unwrap();
    BufReader::new(output).read_line(&mut line).unwrap();
    assert_eq!(line, "stopped\n");
    machine.await_property(UNIT, "NRestarts", "1").await;
    machine.run(&["m2", "status"]);
    let log = machine.log();
    assert!(log.contains("the watchdog is not fed"), "{log}");
    assert!(stall.wait().unwrap().success());
}

/// Without a passphrase there is no engine that could answer.
#[tokio::test]
async fn a_locked_daemon_is_fed() {
    let Some(machine) = Machine::boot().await else {
        return;
    };
    machine.drop_in(UNIT, SHORT);
    machine.sh("mkdir -m 700 /etc/credstore && echo hush > /etc/credstore/m2d-passphrase");
    machine.run(&["systemctl", "start", UNIT]);
    machine.run(&["systemctl", "stop", UNIT]);
    machine.sh("rm /etc/credstore/m2d-passphrase");
    machine.run(&["systemctl", "start", UNIT]);
    let status = machine.run(&["m2", "status"]);
    assert!(status.contains("locked"), "{status}");
    is_fed(&machine).await;
    is_fed(&machine).await;
    assert_eq!(machine.show(UNIT, "NRestarts"), "0");
}

/// Waits until the watchdog was fed once more.
async fn is_fed(machine: &Machine) {
    let fed = || machine.show(UNIT, "WatchdogTimestampMonotonic");
    let before = fed();
    eventually("the watchdog to be fed", async || {
        Ok((fed() != before).then_some(()))
    })
    .await
    .unwrap();
}
