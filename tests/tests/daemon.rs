//! The life cycle of a daemon as the operating system sees it: start, readiness, stop, exit codes.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use m2_tests::harness::{Daemon, Setup, Wire};
use std::time::Duration;
use tokio::net::UnixDatagram;
use tokio::time::{sleep, timeout};

const SOON: Duration = Duration::from_secs(30);

#[tokio::test]
async fn a_daemon_notifies_the_service_manager_and_drains() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("notify");
    let manager = UnixDatagram::bind(&path).unwrap();
    let setup = Setup::new()
        .identity("alice")
        .environment("NOTIFY_SOCKET", path.to_str().unwrap());
    let mut daemon = Daemon::prepare(setup).unwrap();
    daemon.spawn().unwrap();

    assert!(told(&manager, "READY=1").await);
    daemon.status().await.unwrap();
    let status = daemon.stop().await.unwrap();
    assert!(status.success(), "{status}");
    assert!(told(&manager, "STOPPING=1").await);
}

#[tokio::test]
async fn a_killed_daemon_restarts_with_the_same_identity_and_port() {
    let mut daemon = Daemon::start(Setup::new().identity("bob")).await.unwrap();
    let before = daemon.status().await.unwrap();
    daemon.kill9().await.unwrap();
    daemon.restart().await.unwrap();
    let after = daemon.status().await.unwrap();
    assert_eq!(before.peer_id, after.peer_id);
    assert_eq!(before.listen_addresses, after.listen_addresses);
}

#[tokio::test]
async fn a_second_daemon_on_the_same_data_exits() {
    let daemon = Daemon::start(Setup::new().identity("carol")).await.unwrap();
    let second = daemon.run_beside().await.unwrap();
    assert_eq!(second.code, Some(4), "{}", second.stderr);
    daemon.status().await.unwrap();
}

#[tokio::test]
async fn an_unknown_configuration_key_is_named() {
    let setup = Setup::new().network("listen_on = 1");
    let mut daemon = Daemon::prepare(setup).unwrap();
    daemon.spawn().unwrap();
    let status = daemon.ended().await.unwrap();
    assert_eq!(status.code(), Some(2));
    assert!(daemon.log().contains("listen_on"), "{}", daemon.log());
}

#[tokio::test]
async fn two_daemons_talk_over_a_wire() {
    let wire = Wire::new().await.unwrap();
    let alice = Setup::new().identity("alice").announce(wire.address());
    let alice = Daemon::start(alice).await.unwrap();
    wire.aim(alice.udp_address().await.unwrap());
    let bob = Daemon::start(Setup::new().identity("bob")).await.unwrap();

    let invitation = run(&alice, &["--json", "invite", "create"]).await;
    let uri = invitation[0]["uri"].as_str().unwrap().to_owned();
    run(&bob, &["--json", "contact", "add", &uri, "--name", "alice"]).await;
    timeout(SOON, contacts(&bob)).await.unwrap();
    let send = ["--json", "send", "alice", "Hello", "--wait", "delivered"];
    run(&bob, &send).await;

    let received = run(&alice, &["--json", "search", "Hello"]).await;
    assert_eq!(received.len(), 1);
    assert!(wire.captured().len() >= 5);
}

/// Waits until the inviter has accepted.
async fn contacts(daemon: &Daemon) {
    loop {
        let list = run(daemon, &["--json", "contact", "list"]).await;
        if list[0]["state"] == "CONTACT_STATE_CONTACT" {
            return;
        }
        sleep(Duration::from_millis(20)).await;
    }
}

async fn run(daemon: &Daemon, arguments: &[&str]) -> Vec<serde_json::Value> {
    daemon.m2(arguments).await.unwrap().json().unwrap()
}

async fn told(manager: &UnixDatagram, what: &str) -> bool {
    let mut buffer = [0; 4096];
    let wait = async {
        loop {
            let length = manager.recv(&mut buffer).await.unwrap();
            let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
            if text.lines().any(|line| line == what) {
                return;
            }
        }
    };
    timeout(SOON, wait).await.is_ok()
}
