//! Invalid grants, and too many valid ones.

use crate::forge::{header, join, open, open_as, open_for, seal, text};
use crate::scene::Scene;
use bytes::Bytes;
use m2_crypto::envelope::{EpochHeader, SendEpoch};
use m2_net::session::Session;
use m2_net::wire::{Envelope, Message};
use m2_tests::hostile::{Caller, identity, public_id};
use std::time::Instant;

const DAY_S: u64 = 86_400;
/// Grants sent in one burst, and the number that is accepted per minute.
const BURST: u64 = 620;
const A_MINUTE: u64 = 600;

#[tokio::test(flavor = "multi_thread")]
async fn an_invalid_grant_opens_nothing() {
    let scene = Scene::start().await;
    let carol = Caller::new(identity("carol").unwrap()).unwrap();
    let session = join(&scene, &carol, "carol").await;
    let send = async |message| session.send_frame(message).await.unwrap();

    let honest = first_of(&mut open(&session, carol.identity(), 1));
    let grant = grant_of(&honest);
    let mut version = grant.to_vec();
    version[0] ^= 1;
    let longer = [&grant[..], &[0]].concat();
    let mut kind = grant.to_vec();
    kind[1] = 2;
    let malformed = [vec![7; 100], grant[1..].to_vec(), version, longer, kind];
    for (number, bytes) in (1..).zip(malformed) {
        send(with_grant(&honest, bytes)).await;
        scene.counted("GRANT_MALFORMED", number).await;
        scene.counted("ENVELOPE_UNOPENED", number).await;
    }

    let mine = header(carol.identity(), 2);
    let bobs = public_id(&identity("bob").unwrap());
    let as_said = |header| first_of(&mut open_as(&session, carol.identity(), header, 1));
    let changed = |place: usize| {
        let mut bytes = grant.to_vec();
        bytes[place] ^= 3;
        with_grant(&honest, bytes)
    };
    let refused = [
        as_said(EpochHeader {
            receiver: bobs,
            ..mine
        }),
        as_said(EpochHeader {
            sender: bobs,
            ..mine
        }),
        first_of(&mut wrapped_for_bob(&session, mine)),
        // Changed: the epoch's number, the session, its step, the key, the signature.
        changed(2 + 32 + 32 + 8 + 7),
        changed(90),
        changed(101),
        changed(200),
        changed(grant.len() - 1),
    ];
    for (number, message) in (1..).zip(refused) {
        send(message).await;
        scene.counted("GRANT_REFUSED", number).await;
    }

    let unwanted = out_of_time(mine);
    for (number, header) in (1..).zip(unwanted) {
        send(as_said(header)).await;
        scene.counted("GRANT_UNWANTED", number).await;
    }
    assert!(scene.alice.received("carol").await.unwrap().is_empty());

    // A valid grant is accepted, and afterwards no grant of a lower epoch.
    send(seal(
        &mut open(&session, carol.identity(), 4),
        1,
        [4; 16],
        text("at last"),
    ))
    .await;
    scene.alice.await_text("carol", "at last").await.unwrap();
    let lower = EpochHeader { epoch: 3, ..mine };
    send(first_of(&mut open_as(&session, carol.identity(), lower, 4))).await;
    scene.counted("GRANT_UNWANTED", 6).await;
    scene.holds().await;
}

/// Headers with times far from the present, and one with the largest epoch number.
fn out_of_time(mine: EpochHeader) -> [EpochHeader; 5] {
    let now_s = mine.created_s;
    [
        EpochHeader {
            created_s: 0,
            ..mine
        },
        EpochHeader {
            created_s: now_s - 16 * DAY_S,
            ..mine
        },
        EpochHeader {
            created_s: now_s + 2 * DAY_S,
            ..mine
        },
        EpochHeader {
            created_s: u64::MAX,
            ..mine
        },
        EpochHeader {
            epoch: u64::MAX,
            ..mine
        },
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn new_epochs_are_limited_per_minute() {
    let scene = Scene::start().await;
    let carol = Caller::new(identity("carol").unwrap()).unwrap();
    let session = join(&scene, &carol, "carol").await;
    let begun = Instant::now();
    for number in 1..=BURST {
        let mut epoch = open(&session, carol.identity(), number);
        let id = u128::from(number).to_be_bytes();
        let message = seal(&mut epoch, number, id, text("new epoch"));
        session.send_frame(message).await.unwrap();
    }
    scene.counted("GRANT_UNWANTED", 1).await;
    // On a slow machine this takes more than a minute.
    let minutes = 1 + begun.elapsed().as_secs() / 60;
    let received = scene.alice.received("carol").await.unwrap();
    assert!(received.len() as u64 <= minutes * A_MINUTE);
    scene.holds().await;
}

fn first_of(epoch: &mut SendEpoch) -> Message {
    seal(epoch, 1, [9; 16], text("not in order"))
}

/// An epoch whose header names alice, encrypted to bob's key.
fn wrapped_for_bob(session: &Session, header: EpochHeader) -> SendEpoch {
    let (carol, bob) = (identity("carol").unwrap(), identity("bob").unwrap());
    open_for(session, &carol, bob.certificate(), header, 1)
}

fn grant_of(message: &Message) -> Bytes {
    match message {
        Message::Envelope(envelope) => envelope.grant.clone(),
        other => panic!("{other:?}"),
    }
}

fn with_grant(message: &Message, grant: Vec<u8>) -> Message {
    let Message::Envelope(envelope) = message else {
        panic!("{message:?}");
    };
    Message::Envelope(Envelope {
        grant: grant.into(),
        sealed: envelope.sealed.clone(),
    })
}
