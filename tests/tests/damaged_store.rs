//! Damaged stores: the daemon reports the damage, neither spins nor hangs, and `m2d check` finds the
//! place.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use m2_proto::api::v1::GetStatusResponse;
use m2_proto::reason::Reason;
use m2_tests::harness::{Binaries, Daemon, Setup};
use m2_tests::scenario::{Api, Pair};
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

const PAGE: usize = 4096;

/// Damages the pages of a real store in turn, until one start was refused and two running daemons
/// reported the damage. The peer is online throughout and exchanges messages with the damaged daemon.
#[tokio::test]
async fn a_running_daemon_reports_a_damaged_page() {
    let mut pair = Pair::start().await.unwrap();
    let (alice, bob) = pair.apis().await.unwrap();
    for number in 0..60 {
        let text = format!("{number} {}", "x".repeat(2_000));
        bob.send("alice", &text).await.unwrap();
        alice.send("bob", &text).await.unwrap();
    }
    alice.await_empty_outbox().await.unwrap();
    bob.await_empty_outbox().await.unwrap();
    assert!(pair.alice.stop().await.unwrap().success());
    let path = pair.alice.data().join("store.db");
    let whole = fs::read(&path).unwrap();
    let (mut refused, mut running) = (0, 0);
    for page in 1..whole.len() / PAGE {
        let mut damaged = whole.clone();
        damaged[page * PAGE + 2_000] ^= 1;
        place(&pair.alice, &damaged);
        match run_damaged(&mut pair.alice, &bob).await {
            Outcome::Refused => refused += 1,
            Outcome::Damaged => running += 1,
            Outcome::Unnoticed => {}
        }
        if refused >= 1 && running >= 2 {
            break;
        }
    }
    assert!(refused >= 1 && running >= 2, "{refused} and {running}");
    // With the undamaged store, the daemon works as before.
    place(&pair.alice, &whole);
    pair.alice.restart().await.unwrap();
    let alice = Api::of(&pair.alice).await.unwrap();
    alice.send("bob", "whole again").await.unwrap();
    bob.await_text("alice", "whole again").await.unwrap();
}

enum Outcome {
    /// The daemon did not start.
    Refused,
    /// The daemon ran and reported the damage to a caller.
    Damaged,
    /// The daemon did not read the page.
    Unnoticed,
}

async fn run_damaged(daemon: &mut Daemon, peer: &Api) -> Outcome {
    let before = daemon.log().len();
    if daemon.restart().await.is_err() {
        let log = daemon.log().split_off(before);
        assert!(log.contains("store.db") && log.contains("damaged"), "{log}");
        assert!(log.contains("m2d check"), "{log}");
        return Outcome::Refused;
    }
    peer.send("alice", "to a damaged one").await.unwrap();
    let api = Api::of(daemon).await.unwrap();
    let mut outcome = Outcome::Unnoticed;
    for number in 0..3 {
        let sent = api
            .send("bob", &format!("from a damaged one {number}"))
            .await;
        let read = api.conversation("bob").await.map(drop);
        for status in [sent.map(drop), read].into_iter().filter_map(Result::err) {
            assert_eq!(Reason::of(&status), Some(Reason::StoreDamaged), "{status}");
            outcome = Outcome::Damaged;
        }
    }
    if matches!(outcome, Outcome::Damaged) {
        let status = api.status().await.unwrap();
        assert!(tells_damage(&status), "{:?}", status.warnings);
        let failed = status.refused.get("STORE_BATCH_FAILED").copied();
        // The three messages of this test, and the attempts of upkeep and of the peer: not hundreds a
        // second.
        assert!(failed.unwrap_or_default() < 100, "{failed:?}");
    }
    let stopped = daemon.stop().await.unwrap();
    assert!(stopped.success(), "{stopped}");
    let log = daemon.log().split_off(before);
    let lines = log.lines().filter(|line| line.contains("STORE_DAMAGED"));
    assert!(lines.count() <= 5, "{log}");
    assert!(log.contains("stopped"), "{log}");
    outcome
}

fn tells_damage(status: &GetStatusResponse) -> bool {
    let mut warnings = status.warnings.iter();
    warnings.any(|warning| warning.contains("damaged") && warning.contains("m2d restore"))
}

/// Installs this store, without the WAL and shared memory of the last run.
fn place(daemon: &Daemon, store: &[u8]) {
    for name in ["store.db-wal", "store.db-shm"] {
        let _ = fs::remove_file(daemon.data().join(name));
    }
    fs::write(daemon.data().join("store.db"), store).unwrap();
}

#[tokio::test]
async fn the_check_names_the_damaged_page_and_changes_nothing() {
    let mut pair = Pair::start().await.unwrap();
    let (alice, bob) = pair.apis().await.unwrap();
    alice.send("bob", "Hello").await.unwrap();
    bob.await_text("alice", "Hello").await.unwrap();
    // While the daemon runs.
    let beside = check(&pair.alice);
    assert_eq!(beside.status.code(), Some(0), "{beside:?}");
    // After a kill, with the files that the daemon left.
    pair.alice.kill9().await.unwrap();
    let left = files(&pair.alice.data());
    let killed = check(&pair.alice);
    assert_eq!(killed.status.code(), Some(0), "{killed:?}");
    assert!(printed(&killed).contains("store.db-wal"), "{killed:?}");
    assert_eq!(files(&pair.alice.data()), left);
    // After a clean stop, which leaves one file.
    pair.alice.restart().await.unwrap();
    assert!(pair.alice.stop().await.unwrap().success());
    let whole = check(&pair.alice);
    assert_eq!(whole.status.code(), Some(0), "{whole:?}");
    assert!(
        printed(&whole).contains("store.db holds everything"),
        "{whole:?}"
    );
    let path = pair.alice.data().join("store.db");
    let mut bytes = fs::read(&path).unwrap();
    let page = bytes.len() / PAGE - 1;
    bytes[page * PAGE + 2_000] ^= 1;
    fs::write(&path, &bytes).unwrap();
    let damaged = check(&pair.alice);
    assert_eq!(damaged.status.code(), Some(5), "{damaged:?}");
    let place = format!("page {}", page + 1);
    assert!(printed(&damaged).contains(&place), "{damaged:?}");
    assert_eq!(fs::read(&path).unwrap(), bytes);
    // A store that belongs to another identity.
    let key = pair.alice.data().join("identity.pem");
    fs::copy(pair.bob.data().join("identity.pem"), key).unwrap();
    let foreign = check(&pair.alice);
    assert_eq!(foreign.status.code(), Some(5), "{foreign:?}");
}

/// The store is a single file: a copy of it and of the key is a complete daemon.
#[tokio::test]
async fn a_clean_stop_leaves_one_file() {
    let mut daemon = Daemon::start(Setup::new().identity("alice")).await.unwrap();
    let api = Api::of(&daemon).await.unwrap();
    for _ in 0..50 {
        api.invite(false, "").await.unwrap();
    }
    // Opens a reader connection.
    api.search("nothing").await.unwrap();
    assert!(daemon.stop().await.unwrap().success());
    let copy = Daemon::prepare(Setup::new().identity("alice")).unwrap();
    fs::copy(daemon.data().join("store.db"), copy.data().join("store.db")).unwrap();
    let mut copy = copy;
    copy.restart().await.unwrap();
    let listed = copy.m2(&["--json", "invite", "list"]).await.unwrap();
    assert_eq!(listed.json().unwrap().len(), 50);
}

#[tokio::test]
async fn an_empty_store_is_called_empty() {
    let mut daemon = Daemon::start(Setup::new()).await.unwrap();
    daemon.stop().await.unwrap();
    place(&daemon, &[]);
    let output = check(&daemon);
    assert_eq!(output.status.code(), Some(5));
    let printed = printed(&output);
    assert!(printed.contains("it is empty"), "{printed}");
    assert!(!printed.contains("tries again"), "{printed}");
}

fn check(daemon: &Daemon) -> Output {
    Command::new(&Binaries::get().unwrap().m2d)
        .args(["check", "--config"])
        .arg(daemon.config())
        .arg("--data-dir")
        .arg(daemon.data())
        .output()
        .unwrap()
}

fn printed(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The names and contents of the files that a check must not change. SQLite's shared memory may change.
fn files(directory: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<_> = ["identity.pem", "store.db", "store.db-wal"]
        .into_iter()
        .map(|name| {
            (
                name.to_owned(),
                fs::read(directory.join(name)).unwrap_or_default(),
            )
        })
        .collect();
    files.sort();
    files
}
