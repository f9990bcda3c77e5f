//! Daemons that are killed with SIGKILL while letters are in transit.
//!
//! The long form, with any number of kills:
//!
//! `M2_CHAOS_KILLS=200 cargo test --release -p m2-tests --test mailbox -- --ignored kills`

use m2_proto::api::v1::MessageState;
use m2_tests::scenario::chaos::{Options, run_by_letter};
use m2_tests::scenario::{Api, Trio, eventually};
use std::env;
use std::time::Duration;
use tokio::time::sleep;

/// Letters that wait for bob: fewer than the 64 tokens that alice has.
const WAITING: usize = 40;

/// How often bob is killed while he opens them.
const OWNER_KILLS: usize = 8;

fn number(name: &str) -> Option<u64> {
    env::var(name).ok().and_then(|value| value.parse().ok())
}

async fn chaos(kills: u32) {
    let seed = number("M2_CHAOS_SEED").unwrap_or_else(rand::random);
    println!("M2_CHAOS_SEED={seed} M2_CHAOS_KILLS={kills}");
    let report = Box::pin(run_by_letter(Options { kills, seed }))
        .await
        .unwrap();
    println!("{report:?}");
    assert!(report.kills >= kills);
    assert!(report.acknowledged as u64 > u64::from(kills), "{report:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_message_arrives_once_whichever_daemon_is_killed() {
    Box::pin(chaos(6)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "minutes; see the head of this file"]
async fn every_message_arrives_once_in_a_long_run_of_kills() {
    let kills = number("M2_CHAOS_KILLS").and_then(|kills| u32::try_from(kills).ok());
    Box::pin(chaos(kills.unwrap_or(200))).await;
}

/// The owner is killed repeatedly while letters arrive. Since it acknowledges several at once, some
/// letters were committed but not acknowledged. They arrive again, and are shown once.
///
/// Verified by mutation: if each letter is acknowledged before it is opened (in
/// `Collector::take_some`), some are lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_owner_killed_before_it_acknowledges_shows_no_letter_twice() {
    let mut trio = Trio::start().await.unwrap();
    trio.consent().await.unwrap();
    trio.use_tokens().await.unwrap();
    let (alice, bob) = trio.apis().await.unwrap();
    let (mut expected, mut repeated) = (bob.received("alice").await.unwrap(), 0);
    // One round is enough, except on a slow machine.
    for round in 0..5 {
        trio.bob.stop().await.unwrap();
        trio.wire.cut();
        expected.extend(deposit_some(&alice, round).await);
        for kill in 0..OWNER_KILLS {
            trio.bob.restart().await.unwrap();
            match kill % 2 {
                0 => sleep(Duration::from_millis(rand::random_range(30..400))).await,
                _ => takes_more(&trio, expected.len()).await,
            }
            repeated += repeats(&trio).await;
            trio.bob.kill9().await.unwrap();
        }
        trio.bob.restart().await.unwrap();
        let bob = Api::of(&trio.bob).await.unwrap();
        eventually("every letter, once and in order", async || {
            Ok((bob.received("alice").await? == expected).then_some(()))
        })
        .await
        .unwrap();
        let collected = trio.bob.m2(&["mailbox", "collect"]).await.unwrap();
        collected.success().unwrap();
        assert_eq!(trio.server().await.unwrap().letters, 0);
        repeated += repeats(&trio).await;
        // The next session brings new tokens.
        trio.wire.pass_all();
        trio.bob.stop().await.unwrap();
        trio.bob.restart().await.unwrap();
        alice.await_empty_outbox().await.unwrap();
        if repeated > 0 {
            println!("{repeated} letters came again");
            return;
        }
    }
    panic!("bob always acknowledged before he was killed");
}

/// Waits until bob has stored another letter, if there are more: he acknowledges several at once.
async fn takes_more(trio: &Trio, all: usize) {
    let bob = Api::of(&trio.bob).await.unwrap();
    let before = bob.received("alice").await.unwrap().len();
    eventually("another letter", async || {
        let received = bob.received("alice").await?.len();
        Ok((received > before || received == all).then_some(()))
    })
    .await
    .unwrap();
}

/// Letters that arrived although bob already had them, since his start.
async fn repeats(trio: &Trio) -> u64 {
    let refused = trio.bob.status().await.unwrap().refused;
    let unknown = refused.get("LETTER_UNKNOWN").copied();
    unknown.unwrap_or(0)
}

/// Sends letters and waits until carol has them.
async fn deposit_some(alice: &Api, round: usize) -> Vec<String> {
    let texts: Vec<String> = (0..WAITING).map(|text| format!("{round} {text}")).collect();
    let mut ids = Vec::new();
    for text in &texts {
        ids.push(alice.send("bob", text).await.unwrap());
    }
    for id in &ids {
        let deposited = MessageState::Deposited;
        alice.await_message(id, deposited).await.unwrap();
    }
    texts
}
