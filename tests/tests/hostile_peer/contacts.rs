//! Attacks by an accepted contact.

use crate::forge::{join, message_id, open, seal, text};
use crate::scene::Scene;
use m2_delivery::{Body, Content};
use m2_net::session::{CloseCode, Session};
use m2_net::wire::{Ack, Message};
use m2_proto::api::v1::MessageState;
use m2_tests::hostile::{Caller, identity};
use std::time::{Duration, Instant};
use tokio::time::timeout;

/// How long the dials to a contact that ends its sessions are counted.
const WATCHED: Duration = Duration::from_secs(15);

#[tokio::test(flavor = "multi_thread")]
async fn a_hostile_contact_harms_only_itself() {
    let scene = Scene::start().await;
    let carol = Caller::new(identity("carol").unwrap()).unwrap();
    let session = join(&scene, &carol, "carol").await;
    let mut epoch = open(&session, carol.identity(), 1);

    let first = seal(&mut epoch, 1, [1; 16], text("hello"));
    session.send_frame(first.clone()).await.unwrap();
    scene.alice.await_text("carol", "hello").await.unwrap();
    session.send_frame(first).await.unwrap();
    scene.counted("MESSAGE_REPEATED", 1).await;
    let reused = seal(&mut epoch, 2, [1; 16], text("other"));
    session.send_frame(reused).await.unwrap();
    scene.counted("MESSAGE_ID_REUSED", 1).await;

    // A message that bob sent to alice.
    let bobs = scene.bob.send("alice", "from bob").await.unwrap();
    scene
        .bob
        .await_message(&bobs, MessageState::Delivered)
        .await
        .unwrap();
    let target = message_id(&bobs);
    let content = Content::new("", "forged").unwrap();
    let bodies = [
        Body::Edit { target, content },
        Body::Retract { target },
        Body::Read {
            targets: vec![target],
        },
    ];
    for (number, body) in (2..).zip(bodies) {
        let sealed = seal(&mut epoch, u64::from(number), [number; 16], body);
        session.send_frame(sealed).await.unwrap();
        scene
            .counted("MESSAGE_NOT_THEIRS", u64::from(number) - 1)
            .await;
    }
    scene.alice.await_text("bob", "from bob").await.unwrap();

    for (number, sequence) in (20..).zip([0, u64::MAX]) {
        let sealed = seal(&mut epoch, sequence, [number; 16], text("absurd"));
        session.send_frame(sealed).await.unwrap();
    }
    scene.counted("PAYLOAD_MALFORMED", 2).await;
    for number in 0..2_000_u64 {
        // An epoch seals 1,024 messages.
        if number % 1_000 == 0 {
            epoch = open(&session, carol.identity(), 2 + number / 1_000);
        }
        let id = u128::from(number + 1_000).to_be_bytes();
        let sealed = seal(&mut epoch, 100 + 2 * number, id, text("far ahead"));
        session.send_frame(sealed).await.unwrap();
    }
    scene.counted("HELD_TOO_MANY", 1).await;

    let bob = identity("bob").unwrap();
    let third = seal(&mut open(&session, &bob, 9), 1, [40; 16], text("as bob"));
    session.send_frame(third).await.unwrap();
    scene.counted("GRANT_REFUSED", 1).await;
    floods(&scene, &session).await;
    scene.holds().await;
}

async fn floods(scene: &Scene, session: &Session) {
    let ack = Ack {
        message_id: [1; 16],
        content_hash: [2; 32],
    };
    for epoch in 0..200 {
        let acks = Message::Acks(vec![ack; 1_000]);
        session.send_frame(acks).await.unwrap();
        let incarnation = 77;
        let refused = Message::EpochRefused { incarnation, epoch };
        session.send_frame(refused).await.unwrap();
    }
    scene.counted("ACK_UNKNOWN", 200_000).await;
    scene.counted("EPOCH_REFUSAL_IGNORED", 200).await;
    let mut unknown = open(session, &identity("carol").unwrap(), 99);
    unknown.confirm();
    for number in 0..1_000_u64 {
        let id = u128::from(number + 900_000).to_be_bytes();
        let sealed = seal(&mut unknown, number + 1, id, text("no key"));
        session.send_frame(sealed).await.unwrap();
    }
    scene.counted("ENVELOPE_UNOPENED", 1_000).await;
}

/// Each session costs both sides a session key, and each dial occupies one of the slots for concurrent
/// dials.
#[tokio::test(flavor = "multi_thread")]
async fn a_contact_that_ends_every_session_is_dialled_with_exponential_backoff() {
    let scene = Scene::start().await;
    let carol = Caller::new(identity("carol").unwrap()).unwrap();
    let session = join(&scene, &carol, "carol").await;
    session.close(CloseCode::Done);
    let (mut dialled, start) = (0, Instant::now());
    while let Some(left) = WATCHED.checked_sub(start.elapsed()) {
        if let Ok(session) = timeout(left, carol.endpoint().accept()).await {
            session.unwrap().close(CloseCode::Done);
            dialled += 1;
        }
    }
    // The backoff is 0.25, 0.5, 1, 2, 4 and 4 seconds, each shortened by up to a half.
    assert!((2..=11).contains(&dialled), "dialled {dialled} times");
    scene.holds().await;
}
