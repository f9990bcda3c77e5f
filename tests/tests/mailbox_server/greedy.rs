//! Peers that send much and read nothing: the memory that they make the provider use is bounded.

use crate::people::{SEED, Tokens, box_key, ends_with, nonce};
use crate::scene::{Scene, bob, carol};
use m2_net::session::CloseCode;
use m2_net::wire::Message;
use m2_net::wire::mailbox::{Mailbox, Outcome, Request};
use std::time::Duration;
use tokio::time::timeout;

const KIB: usize = 1 << 10;
/// How far the memory may grow: the transport's buffers for one session, and a margin.
const GROWTH_KIB: u64 = 24 << 10;
/// If a frame cannot be sent for this long, the provider holds the sender back.
const STUCK: Duration = Duration::from_secs(2);

#[tokio::test(flavor = "multi_thread")]
async fn a_depositor_that_reads_no_answers_uses_bounded_memory() {
    const DEPOSITS: u64 = 1_000;
    let scene = Scene::start().await;
    let (bob, carol) = (bob(), carol());
    let _owner = scene.owner(&bob).await;
    let tokens = Tokens::new(&bob, SEED);
    let mut depositors = Vec::new();
    for _ in 0..3 {
        depositors.push(scene.depositor(&carol).await);
    }
    let letter = tokens.deposit(1, 64 * KIB);
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
    // No answer is lost.
    for depositor in &mut depositors {
        for _ in 0..DEPOSITS {
            assert_eq!(depositor.outcome().await.1, Outcome::Stored);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_that_reads_no_answers_is_held_back() {
    let scene = Scene::start().await;
    let bob = bob();
    let owner = scene.owner(&bob).await;
    let before = scene.alice.rss_kib().unwrap();
    let open = || Mailbox::Request(Request::Open(box_key(SEED)));
    let open = || Message::Mailbox(Box::new(open()));
    let mut is_held_back = false;
    for _ in 0..200_000 {
        let said = timeout(STUCK, owner.session.send_frame(open())).await;
        match said {
            Ok(said) => said.unwrap(),
            Err(_) => {
                is_held_back = true;
                break;
            }
        }
    }
    assert!(is_held_back);
    let after = scene.alice.rss_kib().unwrap();
    println!("answers: {before} KiB, then {after} KiB");
    assert!(
        after <= before + GROWTH_KIB,
        "{before} KiB, then {after} KiB"
    );
    // Neither other peers nor the owner's next session are affected.
    let mut again = scene.guest(&bob).await;
    assert!(again.open().await.open);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_without_a_box_is_disconnected_after_half_a_minute() {
    let scene = Scene::start().await;
    let carol = carol();
    let mut guest = scene.guest(&carol).await;
    assert!(!guest.open().await.open);
    guest.say(Request::Taken(vec![nonce(1)])).await;
    ends_with(&guest.session, CloseCode::Done).await;
    assert_eq!(scene.count("MAILBOX_IDLE").await, 1);
}
