//! Frames in sessions to which they do not belong.

use crate::people::{Tokens, ends_with, letter};
use crate::scene::{Scene, bob, carol};
use bytes::Bytes;
use m2_net::session::CloseCode;
use m2_net::wire::mailbox::{Answer, BoxState, Letter, Mailbox, Outcome, Request};
use m2_net::wire::{Ack, ContactRequest, Envelope, Message};

const KIB: usize = 1 << 10;

fn for_contacts() -> Vec<Message> {
    vec![
        Message::Envelope(Envelope {
            grant: Bytes::new(),
            sealed: Bytes::from_static(b"sealed"),
        }),
        Message::Acks(vec![Ack {
            message_id: [1; 16],
            content_hash: [2; 32],
        }]),
        Message::ContactRequest(ContactRequest {
            invite: None,
            name: "mallory".to_owned(),
        }),
        Message::ContactReply { accepted: true },
        Message::EpochRefused {
            incarnation: 1,
            epoch: 2,
        },
        frame(Mailbox::Offer(Vec::new())),
    ]
}

fn of_providers() -> Vec<Message> {
    let deposited = Mailbox::Deposited {
        id: letter(1, KIB).id,
        outcome: Outcome::Stored,
    };
    vec![
        frame(Mailbox::Answer(Answer::State(BoxState::default()))),
        frame(Mailbox::Letter(letter(1, KIB))),
        frame(deposited),
    ]
}

fn frame(mailbox: Mailbox) -> Message {
    Message::Mailbox(Box::new(mailbox))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frame_out_of_place_ends_the_session() {
    let scene = Scene::start().await;
    let (bob, carol) = (bob(), carol());
    drop(scene.owner(&bob).await);
    let tokens = Tokens::new(&bob, 1);
    let deposit = frame(Mailbox::Deposit(tokens.deposit(0, 1, KIB)));
    let request = frame(Mailbox::Request(Request::Open));
    let common = || for_contacts().into_iter().chain(of_providers());
    let mut counted = 0;
    for message in common().chain([deposit]) {
        let session = scene.dial_owner(&bob).await.unwrap();
        session.send_frame(message).await.unwrap();
        ends_with(&session, CloseCode::Misbehaved).await;
        counted += 1;
        assert_eq!(scene.count("MAILBOX_OUT_OF_PLACE").await, counted);
    }
    for message in common().chain([request]) {
        let session = scene.dial_anonymous(&carol).await.unwrap();
        session.send_frame(message).await.unwrap();
        ends_with(&session, CloseCode::Misbehaved).await;
        counted += 1;
        assert_eq!(scene.count("MAILBOX_OUT_OF_PLACE").await, counted);
    }
    assert!(!scene.alice.log().contains("panicked"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_of_an_invalid_size_ends_the_session() {
    let scene = Scene::start().await;
    let (bob, carol) = (bob(), carol());
    let mut owner = scene.owner(&bob).await;
    let tokens = Tokens::new(&bob, 1);
    owner.add(tokens.hashes(0..8)).await;
    for size in [KIB - 1, KIB + 1, 100 * KIB] {
        let session = scene.dial_anonymous(&carol).await.unwrap();
        let mut deposit = tokens.deposit(0, 1, KIB);
        deposit.letter = Letter {
            sealed: vec![1; size].into(),
            ..deposit.letter
        };
        let sent = session.send_frame(frame(Mailbox::Deposit(deposit))).await;
        sent.unwrap();
        ends_with(&session, CloseCode::Misbehaved).await;
    }
    assert_eq!(owner.tokens().await.1.len(), 8);
    assert!(owner.letters().await.is_empty());
}

/// In a session between peers, the frames of the other two kinds of sessions have no effect.
#[tokio::test(flavor = "multi_thread")]
async fn a_session_between_peers_ignores_mailbox_frames() {
    let scene = Scene::start().await;
    let bob = bob();
    drop(scene.owner(&bob).await);
    let session = bob.dial(scene.address, scene.alices_id()).await.unwrap();
    for message in [
        frame(Mailbox::Request(Request::Remove)),
        frame(Mailbox::Deposit(Tokens::new(&bob, 1).deposit(0, 1, KIB))),
    ] {
        session.send_frame(message).await.unwrap();
    }
    scene.counted("NOT_A_CONTACT", 2).await;
    let mut owner = scene.guest(&bob).await;
    assert!(owner.open().await.open);
}
