//! Daemons killed with SIGKILL while letters are under way.
//!
//! The long form, for as long as you like:
//! `M2_CHAOS_KILLS=200 cargo test --release -p m2-tests --test mailbox -- --ignored kills`

use m2_proto::api::v1::MessageState;
use m2_tests::scenario::chaos::{Options, run_by_letter};
use m2_tests::scenario::{Api, Trio, eventually};
use std::env;

/// Letters that wait for bob: the first of them are shown while the others are still opened.
const WAITING: usize = 24;

fn number(name: &str) -> Option<u64> {
    env::var(name).ok().and_then(|value| value.parse().ok())
}

async fn chaos(kills: u32) {
    let seed = number("M2_CHAOS_SEED").unwrap_or_else(rand::random);
    println!("M2_CHAOS_SEED={seed} M2_CHAOS_KILLS={kills}");
    let report = run_by_letter(Options { kills, seed }).await.unwrap();
    println!("{report:?}");
    assert!(report.kills >= kills);
    assert!(report.acknowledged as u64 > u64::from(kills), "{report:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_message_comes_once_whoever_is_killed() {
    chaos(8).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "minutes; see the head of this file"]
async fn every_message_comes_once_whoever_is_killed_for_long() {
    let kills = number("M2_CHAOS_KILLS").and_then(|kills| u32::try_from(kills).ok());
    chaos(kills.unwrap_or(200)).await;
}

/// The owner dies when its front-end has seen the first letters and the provider was not told of
/// all of them yet.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_owner_that_dies_before_it_acknowledges_shows_nothing_twice() {
    let mut trio = Trio::start().await.unwrap();
    trio.consent().await.unwrap();
    let alice = Api::of(&trio.alice).await.unwrap();
    let mut expected = Vec::new();
    // What was shown and is still with the provider proves the moment; else once more.
    for round in 0..10 {
        trio.bob.stop().await.unwrap();
        trio.wire.cut();
        expected.extend(deposit_some(&alice, round).await);
        trio.bob.restart().await.unwrap();
        let bob = Api::of(&trio.bob).await.unwrap();
        let first = format!("{round} 0");
        bob.await_text("alice", &first).await.unwrap();
        trio.bob.kill9().await.unwrap();

        let left = trio.server().await.unwrap().letters;
        trio.carol.kill9().await.unwrap();
        trio.bob.restart().await.unwrap();
        let shown = bob.received("alice").await.unwrap().len();
        let gone = expected.len() - usize::try_from(left).unwrap();
        trio.carol.restart().await.unwrap();
        eventually("every letter, once and in order", async || {
            Ok((bob.received("alice").await? == expected).then_some(()))
        })
        .await
        .unwrap();
        eventually("an empty box", async || {
            Ok((trio.server().await?.letters == 0).then_some(()))
        })
        .await
        .unwrap();
        println!("round {round}: {shown} were shown, {gone} acknowledged");
        if shown > gone {
            return;
        }
    }
    panic!("bob always acknowledged before he could be killed");
}

/// Sends letters and waits until they are with carol.
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
