//! Stores that are older than what contacts have seen: restored from a copy, lost except for the key,
//! or used by two daemons; and peers that become contacts again.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use m2_proto::api::v1::event::Kind;
use m2_proto::api::v1::{ConflictKind, ContactState, MessageState};
use m2_tests::harness::{Daemon, Setup};
use m2_tests::scenario::{Api, Pair, eventually};
use std::fs;
use std::path::Path;

/// Sends a text and waits for delivery.
async fn say(sender: &Api, contact: &str, text: &str) {
    let id = sender.send(contact, text).await.unwrap();
    sender
        .await_message(&id, MessageState::Delivered)
        .await
        .unwrap();
}

/// Replaces the store files in `to` by those in `from`. Their daemons must be stopped.
fn copy_store(from: &Path, to: &Path) {
    delete_store(to);
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        if entry.file_name().to_string_lossy().starts_with("store.db") {
            fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}

fn delete_store(of: &Path) {
    for entry in fs::read_dir(of).unwrap() {
        let entry = entry.unwrap();
        if entry.file_name().to_string_lossy().starts_with("store.db") {
            fs::remove_file(entry.path()).unwrap();
        }
    }
}

async fn kinds(api: &Api) -> Vec<Kind> {
    let log = api.log().await.unwrap();
    log.into_iter().filter_map(|event| event.kind).collect()
}

async fn warns(api: &Api, words: &str) -> bool {
    let warnings = api.status().await.unwrap().warnings;
    warnings.iter().any(|warning| warning.contains(words))
}

async fn conflict(api: &Api, contact: &str) -> ConflictKind {
    api.contact(contact).await.unwrap().conflict()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_store_continues_and_reports_what_is_lost() {
    let mut pair = Pair::start().await.unwrap();
    let (alice, bob) = pair.apis().await.unwrap();
    say(&alice, "bob", "a1").await;
    say(&bob, "alice", "b1").await;
    let copy = tempfile::tempdir().unwrap();
    pair.alice.stop().await.unwrap();
    copy_store(&pair.alice.data(), copy.path());
    pair.alice.restart().await.unwrap();
    let alice = Api::of(&pair.alice).await.unwrap();
    for number in [2, 3] {
        say(&alice, "bob", &format!("a{number}")).await;
        say(&bob, "alice", &format!("b{number}")).await;
    }
    assert!(!warns(&alice, "older").await);

    pair.alice.stop().await.unwrap();
    copy_store(copy.path(), &pair.alice.data());
    pair.alice.restart().await.unwrap();
    let alice = Api::of(&pair.alice).await.unwrap();
    say(&bob, "alice", "b4").await;
    // A message is shown before it is acknowledged, so there is no need to wait.
    assert_eq!(alice.received("bob").await.unwrap(), ["b1", "b4"]);
    say(&alice, "bob", "a4").await;
    let all = ["a1", "a2", "a3", "a4"];
    assert_eq!(bob.received("alice").await.unwrap(), all);

    let told = kinds(&alice).await;
    let lost = |kind: &Kind| matches!(kind, Kind::HistoryLost(lost) if lost.missing == 2);
    let older =
        |kind: &Kind| matches!(kind, Kind::OwnConflict(own) if own.kind() == ConflictKind::Older);
    assert_eq!(told.iter().filter(|kind| lost(kind)).count(), 1, "{told:?}");
    assert_eq!(
        told.iter().filter(|kind| older(kind)).count(),
        1,
        "{told:?}"
    );
    assert!(warns(&alice, "older than what a contact has seen").await);
    let at_bob = kinds(&bob).await;
    let seen =
        |kind: &Kind| matches!(kind, Kind::ContactConflict(of) if of.kind() == ConflictKind::Older);
    assert_eq!(at_bob.iter().filter(|kind| seen(kind)).count(), 1);
    assert_eq!(conflict(&bob, "alice").await, ConflictKind::Older);
    assert_eq!(conflict(&alice, "bob").await, ConflictKind::Unspecified);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_lost_its_store_becomes_a_contact_again() {
    let mut pair = Pair::start().await.unwrap();
    let (alice, _) = pair.apis().await.unwrap();
    say(&alice, "bob", "one").await;
    pair.bob.stop().await.unwrap();
    delete_store(&pair.bob.data());
    pair.bob.restart().await.unwrap();
    let bob = Api::of(&pair.bob).await.unwrap();
    alice.send("bob", "two").await.unwrap();
    let uri = alice.invite(false, "").await.unwrap();
    bob.add(&uri, "alice").await.unwrap();
    bob.await_state("alice", ContactState::Contact)
        .await
        .unwrap();
    say(&alice, "bob", "three").await;
    assert_eq!(bob.received("alice").await.unwrap(), ["two", "three"]);
    say(&bob, "alice", "back").await;
    assert_eq!(alice.received("bob").await.unwrap(), ["back"]);
    // Neither side reports a conflict.
    for (api, peer) in [(&alice, "bob"), (&bob, "alice")] {
        assert_eq!(conflict(api, peer).await, ConflictKind::Unspecified);
        assert!(!warns(api, "older").await && !warns(api, "second daemon").await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_contact_that_is_added_again_gets_the_waiting_messages_at_once() {
    let pair = Pair::start().await.unwrap();
    let (alice, bob) = pair.apis().await.unwrap();
    say(&alice, "bob", "one").await;
    let mut texts = vec!["one".to_owned()];
    for history in [false, true] {
        let mut remove = vec!["contact", "remove", "alice"];
        remove.extend(history.then_some("--history"));
        pair.bob.m2(&remove).await.unwrap().success().unwrap();
        if history {
            texts.clear();
        }
        for number in 1..=2 {
            let text = format!("into the void {number}, {history}");
            alice.send("bob", &text).await.unwrap();
            texts.push(text);
        }
        let uri = alice.invite(false, "").await.unwrap();
        bob.add(&uri, "alice").await.unwrap();
        bob.await_state("alice", ContactState::Contact)
            .await
            .unwrap();
        let text = format!("after it, {history}");
        say(&alice, "bob", &text).await;
        texts.push(text);
        // A later message is not acknowledged before the waiting ones are shown.
        assert_eq!(bob.received("alice").await.unwrap(), texts);
    }
}

/// Peers that exchange messages as contacts need not become contacts again, and lose no history by an
/// invitation.
#[tokio::test(flavor = "multi_thread")]
async fn an_invitation_between_contacts_makes_no_request() {
    let pair = Pair::start().await.unwrap();
    let (alice, bob) = pair.apis().await.unwrap();
    for round in 0..3 {
        say(&alice, "bob", &format!("to bob {round}")).await;
        say(&bob, "alice", &format!("to alice {round}")).await;
        let uri = alice.invite(false, "").await.unwrap();
        let added = bob.add(&uri, "alice").await.unwrap();
        assert_eq!(added.state(), ContactState::Contact);
    }
    say(&alice, "bob", "last").await;
    for api in [&alice, &bob] {
        let lost = |kind: &Kind| matches!(kind, Kind::HistoryLost(_));
        assert!(!kinds(api).await.iter().any(lost));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_daemons_with_one_store_are_detected_by_both_and_by_the_contact() {
    let mut pair = Pair::start().await.unwrap();
    let (alice, bob) = pair.apis().await.unwrap();
    say(&alice, "bob", "before").await;
    let twin = Setup::new().identity("alice");
    let mut twin = Daemon::prepare(twin).unwrap();
    pair.alice.stop().await.unwrap();
    copy_store(&pair.alice.data(), &twin.data());
    pair.alice.restart().await.unwrap();
    twin.restart().await.unwrap();
    let both = [
        Api::of(&pair.alice).await.unwrap(),
        Api::of(&twin).await.unwrap(),
    ];
    let mut sent = vec!["before".to_owned()];
    let mut round = 0;
    eventually("all three to be warned", async || {
        round += 1;
        for (number, api) in both.iter().enumerate() {
            let text = format!("{number} says {round}");
            let id = api.send("bob", &text).await?;
            api.await_message(&id, MessageState::Delivered).await?;
            sent.push(text);
        }
        let told = [
            warns(&both[0], "daemon").await,
            warns(&both[1], "daemon").await,
            conflict(&bob, "alice").await != ConflictKind::Unspecified,
        ];
        Ok(told.iter().all(|is| *is).then_some(()))
    })
    .await
    .unwrap();
    let mut shown = bob.received("alice").await.unwrap();
    shown.sort();
    sent.sort();
    assert_eq!(shown, sent);
    for api in &both {
        let told = kinds(api).await;
        assert!(told.iter().any(|kind| matches!(kind, Kind::OwnConflict(_))));
    }
    let at_bob = kinds(&bob).await;
    assert!(
        at_bob
            .iter()
            .any(|kind| matches!(kind, Kind::ContactConflict(_)))
    );
}
