//! Those who send much and read nothing: what they can make the provider hold is bounded.

use crate::people::{Tokens, ends_with};
use crate::scene::{Scene, bob, carol};
use m2_net::session::CloseCode;
use m2_net::wire::Message;
use m2_net::wire::mailbox::{Mailbox, Outcome, Request};
use std::time::Duration;
use tokio::time::timeout;

const KIB: usize = 1 << 10;
/// How far the memory may grow: what the transport buffers of one session, and room to breathe.
const GROWTH_KIB: u64 = 24 << 10;
/// A frame that is not taken for so long is held back.
const STUCK: Duration = Duration::from_secs(2);

#[tokio::test(flavor = "multi_thread")]
async fn who_deposits_and_reads_no_answers_fills_no_memory() {
    const DEPOSITS: u64 = 1_000;
    let scene = Scene::start().await;
    let (bob, carol) = (bob(), carol());
    let mut owner = scene.owner(&bob).await;
    let tokens = Tokens::new(&bob, 1);
    owner.add(tokens.hashes(0..8)).await;
    let mut depositors = Vec::new();
    for _ in 0..3 {
        depositors.push(scene.depositor(&carol).await);
    }
    let letter = tokens.deposit(0, 1, 64 * KIB);
    assert_eq!(depositors[0].deposit(letter.clone()).await, Outcome::Stored);
    let before = scene.alice.rss_kib().unwrap();
    let mut most = before;
    for number in 0..DEPOSITS {
        for depositor in &depositors {
            depositor.send(letter.clone()).await;
        }
        if number % 100 == 0 {
            most = most.max(scene.alice.rss_kib().unwrap());
        }
    }
    println!("deposits: {before} KiB, then at most {most} KiB");
    assert!(most <= before + GROWTH_KIB, "{before} KiB, then {most} KiB");
    // Nothing is lost by it.
    for depositor in &mut depositors {
        for _ in 0..DEPOSITS {
            assert_eq!(depositor.outcome().await.1, Outcome::Stored);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_that_asks_and_reads_nothing_is_held_back() {
    let scene = Scene::start().await;
    let bob = bob();
    let mut owner = scene.owner(&bob).await;
    let tokens = Tokens::new(&bob, 1);
    for first in (0..10_000).step_by(2_000) {
        assert!(owner.add(tokens.hashes(first..first + 2_000)).await.0);
    }
    let before = scene.alice.rss_kib().unwrap();
    // Each asks for 320 KiB.
    let list = || Message::Mailbox(Box::new(Mailbox::Request(Request::ListTokens)));
    for _ in 0..200_000 {
        let said = timeout(STUCK, owner.session.send_frame(list())).await;
        match said {
            Ok(said) => said.unwrap(),
            Err(_) => break,
        }
    }
    let after = scene.alice.rss_kib().unwrap();
    println!("tokens: {before} KiB, then {after} KiB");
    assert!(
        after <= before + GROWTH_KIB,
        "{before} KiB, then {after} KiB"
    );
    // It is no harm to others, nor to its own next session.
    let mut again = scene.guest(&bob).await;
    assert_eq!(again.tokens().await.1.len(), 10_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_no_box_and_makes_none_goes_in_half_a_minute() {
    let scene = Scene::start().await;
    let carol = carol();
    let mut guest = scene.guest(&carol).await;
    assert!(!guest.open().await.open);
    let hashes = Tokens::new(&carol, 1).hashes(0..1);
    assert_eq!(guest.add(hashes).await, (false, 0));
    ends_with(&guest.session, CloseCode::Done).await;
    assert_eq!(scene.count("MAILBOX_IDLE").await, 1);
}
