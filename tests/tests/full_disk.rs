//! Full disks: callers receive an error, nothing that was acknowledged is lost, and the daemon continues
//! once there is room.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use m2_proto::api::v1::MessageState;
use m2_proto::reason::Reason;
use m2_tests::harness::Daemon;
use m2_tests::scenario::{Api, Pair, counted, eventually};
use std::fs;
use std::process::Command;

/// A text of 20 KiB that begins with its number.
fn text(number: usize) -> String {
    format!("{number} {}", "x".repeat(20 * 1_024))
}

#[tokio::test]
async fn a_sender_with_a_full_disk_loses_no_acknowledged_message() {
    let mut pair = Pair::start().await.unwrap();
    let (alice, bob) = pair.apis().await.unwrap();
    alice.send("bob", "before").await.unwrap();
    bob.await_text("alice", "before").await.unwrap();

    // The search adds the message to the index, which cannot grow later.
    assert_eq!(alice.search("before").await.unwrap().len(), 1);

    no_file_grows(&pair.alice);
    let acknowledged = fill(&alice).await;
    // Every write fails with the error. Reads succeed, even concurrently with the failing writes.
    let too_much = text(9_999);
    for _ in 0..5 {
        let (_, status, own) = tokio::join!(
            refused(&alice, &too_much),
            alice.status(),
            alice.conversation("bob")
        );
        assert!(status.unwrap().version.len() > 2);
        assert_eq!(own.unwrap().len(), acknowledged.len() + 1);
    }
    assert_eq!(alice.search("before").await.unwrap().len(), 1);
    // The space of the write-ahead log is freed by a write that fails while nothing is read. The user is warned.
    eventually("the end of the log", async || {
        refused(&alice, &too_much).await;
        Ok((length(&pair.alice, "store.db-wal") == 0).then_some(()))
    })
    .await
    .unwrap();
    let status = alice.status().await.unwrap();
    let told = |warning: &String| warning.contains("disk") && warning.contains("is full");
    assert!(status.warnings.iter().any(told), "{:?}", status.warnings);

    // With room again everything continues, including the writes that failed meanwhile.
    every_file_grows(&pair.alice);
    let last = alice.send("bob", "after").await.unwrap();
    alice
        .await_message(&last, MessageState::Delivered)
        .await
        .unwrap();
    let mut expected = vec!["before".to_owned()];
    expected.extend(acknowledged.iter().map(|number| text(*number)));
    expected.push("after".to_owned());
    assert!(bob.received("alice").await.unwrap() == expected);
    alice.await_empty_outbox().await.unwrap();

    let status = alice.status().await.unwrap();
    assert!(!status.warnings.iter().any(told), "{:?}", status.warnings);

    // A daemon that is killed while the disk is full restarts with everything that it acknowledged.
    no_file_grows(&pair.alice);
    let more = fill(&alice).await;
    pair.alice.kill9().await.unwrap();
    pair.alice.restart().await.unwrap();
    let last = alice_send(&pair.alice, "the end").await;
    alice
        .await_message(&last, MessageState::Delivered)
        .await
        .unwrap();
    expected.extend(more.iter().map(|number| text(*number)));
    expected.push("the end".to_owned());
    assert!(bob.received("alice").await.unwrap() == expected);
}

/// Deletion must work on a full disk.
#[tokio::test]
async fn messages_and_contacts_can_be_deleted_on_a_full_disk() {
    let mut pair = Pair::start().await.unwrap();
    let (alice, _bob) = pair.apis().await.unwrap();
    pair.bob.kill9().await.unwrap();
    let mut sent = Vec::new();
    for number in 0..5 {
        sent.push(alice.send("bob", &text(number)).await.unwrap());
    }
    no_file_grows(&pair.alice);
    fill(&alice).await;
    for id in &sent {
        m2(&pair.alice, &["retract", id]).await;
    }
    m2(&pair.alice, &["contact", "remove", "bob", "--history"]).await;
    assert!(alice.conversation("bob").await.is_err());
    let status = alice.status().await.unwrap();
    let failed = status.refused.get("STORE_BATCH_FAILED").copied();
    // One failed batch, and perhaps some of the concurrent upkeep: not hundreds.
    assert!((1..20).contains(&failed.unwrap_or_default()), "{failed:?}");
}

#[tokio::test]
async fn a_receiver_with_a_full_disk_acknowledges_nothing() {
    let pair = Pair::start().await.unwrap();
    let (alice, bob) = pair.apis().await.unwrap();
    no_file_grows(&pair.bob);
    refuses_to_store(&bob).await;
    // Bob acknowledges no message that he could not store.
    let mut ids = Vec::new();
    for number in 0..50 {
        ids.push(alice.send("bob", &text(number)).await.unwrap());
    }
    let stored = bob.received("alice").await.unwrap().len();
    assert!(stored < 50);
    let last = alice.message(ids.last().unwrap()).await.unwrap();
    assert_ne!(last.state(), MessageState::Delivered);

    every_file_grows(&pair.bob);
    for id in &ids {
        alice
            .await_message(id, MessageState::Delivered)
            .await
            .unwrap();
    }
    let expected: Vec<String> = (0..50).map(text).collect();
    assert!(bob.received("alice").await.unwrap() == expected);
}

/// The sender learns that a connected contact stores nothing. Its session stays: more data than the
/// contact has room for is not taken for its silence.
#[tokio::test]
async fn a_contact_that_stores_nothing_is_described_and_its_session_stays() {
    let pair = Pair::start().await.unwrap();
    let (alice, bob) = pair.apis().await.unwrap();
    no_file_grows(&pair.bob);
    refuses_to_store(&bob).await;
    let sessions = async || {
        let status = alice.status().await.unwrap();
        counted(&status, "SESSION_DIALLED") + counted(&status, "SESSION_ACCEPTED")
    };
    let before = sessions().await;
    let long = "long ".repeat(8_000);
    let mut last = String::new();
    for _ in 0..200 {
        last = alice.send("bob", &long).await.unwrap();
    }
    let contact = eventually("the problem to be described", async || {
        let contact = alice.contact("bob").await?;
        Ok(contact
            .problem
            .contains("confirmed no message")
            .then_some(contact))
    });
    assert!(contact.await.unwrap().online);
    assert_eq!(sessions().await, before, "the session was renewed");
    every_file_grows(&pair.bob);
    let state = MessageState::Delivered;
    alice.await_message(&last, state).await.unwrap();
}

/// A session that comes up while nothing can be written fails, and later is not taken for an open one.
#[tokio::test]
async fn a_session_opened_on_a_full_disk_leaves_nothing_behind() {
    let mut pair = Pair::start().await.unwrap();
    let bob = Api::of(&pair.bob).await.unwrap();
    pair.alice.stop().await.unwrap();
    goes_offline(&bob).await;
    nothing_is_written(&pair.bob);
    pair.alice.restart().await.unwrap();
    eventually("a batch to fail", async || {
        let status = bob.status().await?;
        Ok((counted(&status, "STORE_BATCH_FAILED") > 0).then_some(()))
    })
    .await
    .unwrap();
    every_file_grows(&pair.bob);
    talks_after_a_stop(&mut pair, &bob).await;
}

/// The end of a session is not lost if the batch that should record it fails.
#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_ended_on_a_full_disk_is_shown_offline() {
    let mut pair = Pair::start().await.unwrap();
    let bob = Api::of(&pair.bob).await.unwrap();
    bob.send("alice", "before").await.unwrap();
    bob.await_empty_outbox().await.unwrap();
    nothing_is_written(&pair.bob);
    let busy = (0..4).map(|_| {
        let bob = bob.clone();
        tokio::spawn(async move {
            loop {
                let _ = bob.send("alice", "can't be stored").await;
            }
        })
    });
    let busy: Vec<_> = busy.collect();
    pair.alice.stop().await.unwrap();
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    busy.iter().for_each(tokio::task::JoinHandle::abort);
    every_file_grows(&pair.bob);
    talks_after_a_stop(&mut pair, &bob).await;
}

/// Asserts that bob sees alice offline, and that his message arrives when she is back.
async fn talks_after_a_stop(pair: &mut Pair, bob: &Api) {
    if pair.alice.pid().is_some() {
        pair.alice.stop().await.unwrap();
    }
    goes_offline(bob).await;
    let last = bob.send("alice", "after").await.unwrap();
    pair.alice.restart().await.unwrap();
    bob.await_message(&last, MessageState::Delivered)
        .await
        .unwrap();
}

async fn goes_offline(bob: &Api) {
    eventually("alice to be shown offline", async || {
        Ok((!bob.contact("alice").await?.online).then_some(()))
    })
    .await
    .unwrap();
}

async fn m2(daemon: &Daemon, arguments: &[&str]) {
    daemon.m2(arguments).await.unwrap().success().unwrap();
}

/// Sends until the disk is full. Returns the numbers of the acknowledged messages.
async fn fill(api: &Api) -> Vec<usize> {
    let mut acknowledged = Vec::new();
    for number in 0..1_000 {
        match api.send("bob", &text(number)).await {
            Ok(_) => acknowledged.push(number),
            Err(status) => {
                assert_eq!(Reason::of(&status), Some(Reason::DiskFull), "{status}");
                return acknowledged;
            }
        }
    }
    panic!("the disk is never full");
}

/// Uses up the remaining space, so that even small writes fail.
async fn refuses_to_store(api: &Api) {
    for _ in 0..1_000 {
        if let Err(status) = api.invite(true, "").await {
            assert_eq!(Reason::of(&status), Some(Reason::DiskFull), "{status}");
            return;
        }
    }
    panic!("the disk is never full");
}

async fn refused(api: &Api, text: &str) {
    let status = api.send("bob", text).await.unwrap_err();
    assert_eq!(Reason::of(&status), Some(Reason::DiskFull), "{status}");
}

async fn alice_send(alice: &Daemon, text: &str) -> String {
    Api::of(alice)
        .await
        .unwrap()
        .send("bob", text)
        .await
        .unwrap()
}

/// Limits the daemon's files to the present size of its store plus 100,000 bytes.
fn no_file_grows(daemon: &Daemon) {
    let largest = length(daemon, "store.db").max(length(daemon, "store.db-wal"));
    limit(daemon, &(largest + 100_000).to_string());
}

fn length(daemon: &Daemon, file: &str) -> u64 {
    fs::metadata(daemon.data().join(file)).map_or(0, |file| file.len())
}

/// Prevents the write of even one page of the store.
fn nothing_is_written(daemon: &Daemon) {
    limit(daemon, "1");
}

fn every_file_grows(daemon: &Daemon) {
    limit(daemon, "unlimited");
}

fn limit(daemon: &Daemon, bytes: &str) {
    let status = Command::new("prlimit")
        .arg(format!("--pid={}", daemon.pid().unwrap()))
        // The soft limit only: a lowered hard limit could not be raised again.
        .arg(format!("--fsize={bytes}:"))
        .status()
        .unwrap();
    assert!(status.success());
}
