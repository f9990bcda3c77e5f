//! Frames in sessions to which they do not belong.

use crate::people::{SEED, Tokens, box_key, ends_with, letter, nonce};
use crate::scene::{Scene, bob, carol};
use bytes::Bytes;
use m2_crypto::deposit::Period;
use m2_crypto::one_time_key::OneTimeSeed;
use m2_crypto::{PeerId, provider};
use m2_net::session::CloseCode;
use m2_net::wire::mailbox::{BoxState, Mailbox, Outcome, Request, Series, TokenWithKey};
use m2_net::wire::{Ack, ContactRequest, Envelope, Message};

const SIZE: usize = 4 << 10;

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
        frame(tokens()),
        frame(Mailbox::TokenReport {
            taken: vec![nonce(1)],
            refused: Vec::new(),
        }),
        frame(Mailbox::SeriesHeld(Vec::new())),
        frame(Mailbox::LetterSecrets {
            stored: [1; 8],
            seals_with: None,
        }),
    ]
}

fn tokens() -> Mailbox {
    let key = OneTimeSeed::random(&mut rand::rng());
    let key = key.key(provider::default()).unwrap();
    let of = PeerId::from_bytes([1; 32]);
    let token = box_key(SEED).token(&of, nonce(1), Period::new(0));
    Mailbox::Tokens {
        series: Series([1; 8]),
        tokens: vec![TokenWithKey {
            token,
            key: key.public().clone(),
        }],
    }
}

fn of_providers() -> Vec<Message> {
    let deposited = Mailbox::Deposited {
        nonce: nonce(1),
        outcome: Outcome::Stored,
    };
    vec![
        frame(Mailbox::State(BoxState::default())),
        frame(Mailbox::Letter(letter(1, SIZE))),
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
    let tokens = Tokens::new(&bob, SEED);
    let deposit = frame(Mailbox::Deposit(tokens.deposit(1, SIZE)));
    let request = frame(Mailbox::Request(Request::Open(box_key(SEED))));
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
    let tokens = Tokens::new(&bob, SEED);
    for size in [1 << 10, SIZE - 1, SIZE + 1, 100 << 10] {
        let session = scene.dial_anonymous(&carol).await.unwrap();
        let mut deposit = tokens.deposit(1, SIZE);
        deposit.sealed = vec![1; size].into();
        let sent = session.send_frame(frame(Mailbox::Deposit(deposit))).await;
        sent.unwrap();
        ends_with(&session, CloseCode::Misbehaved).await;
    }
    assert!(owner.letters().await.is_empty());
    // The token is still good.
    let mut depositor = scene.depositor(&carol).await;
    let deposit = tokens.deposit(1, SIZE);
    assert_eq!(depositor.deposit(deposit).await, Outcome::Stored);
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
        frame(Mailbox::Deposit(Tokens::new(&bob, SEED).deposit(1, SIZE))),
    ] {
        session.send_frame(message).await.unwrap();
    }
    scene.counted("NOT_A_CONTACT", 2).await;
    let mut owner = scene.guest(&bob).await;
    assert!(owner.open().await.open);
}
