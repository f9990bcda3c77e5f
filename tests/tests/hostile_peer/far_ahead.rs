//! Envelopes of a known epoch with a wrong tag, as far ahead as an epoch goes: the first one requires
//! about a thousand derivations before its tag can be checked.

use crate::forge::{first_frame, header, join, open_as, seal, text};
use crate::scene::Scene;
use m2_crypto::envelope::MAX_MESSAGES;
use m2_net::session::{CloseCode, Ended, Session};
use m2_net::wire::{Envelope, Message};
use m2_tests::hostile::{Caller, identity};
use m2_tests::scenario::PATIENCE;
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// Derivations that one peer can make a daemon waste: the burst, and one minute's refill.
const ALLOWANCE: u64 = 8_192 + 16 * 60;
/// Envelopes sent in each of the two sessions.
const COPIES: usize = 20_000;

#[tokio::test(flavor = "multi_thread")]
async fn forged_envelopes_far_ahead_end_the_session_and_the_next_one() {
    let scene = Scene::start().await;
    let carol = Caller::new(identity("carol").unwrap()).unwrap();
    let session = join(&scene, &carol, "carol").await;
    let forged = open_far_ahead(&scene, &session, &carol, 1).await;
    ends_by(&session, &forged).await;
    scene.counted("ENVELOPE_COSTLY", 1).await;
    // Within this time the allowance is enough for a message that opens.
    sleep(Duration::from_secs(1)).await;
    // A new session does not come with a new allowance.
    let again = carol.dial(scene.address, scene.alices_id()).await.unwrap();
    again.send_frame(first_frame()).await.unwrap();
    let forged = open_far_ahead(&scene, &again, &carol, 2).await;
    ends_by(&again, &forged).await;
    scene.counted("ENVELOPE_COSTLY", 2).await;
    let wasted = scene.count("DERIVATION_WASTED").await;
    assert!(wasted > 2_000, "{wasted}");
    assert!(wasted <= ALLOWANCE, "{wasted}");
    scene.holds().await;
}

/// Opens an epoch whose first message is shown. Returns its last message with a wrong tag.
async fn open_far_ahead(scene: &Scene, session: &Session, sender: &Caller, number: u64) -> Message {
    let header = header(sender.identity(), number);
    let mut epoch = open_as(session, sender.identity(), header, 0);
    let id = |n: u32| [&[number as u8; 12][..], &n.to_be_bytes()].concat();
    let id = |n: u32| id(n).try_into().unwrap();
    let said = format!("once {number}");
    let first = seal(&mut epoch, number, id(0), text(&said));
    session.send_frame(first).await.unwrap();
    scene.alice.await_text("carol", &said).await.unwrap();
    epoch.confirm();
    for n in 1..MAX_MESSAGES - 1 {
        let _ = epoch.seal(&id(n), b"overtaken").unwrap();
    }
    spoilt(seal(&mut epoch, 9, id(MAX_MESSAGES), text("far ahead")))
}

fn spoilt(message: Message) -> Message {
    let Message::Envelope(Envelope { grant, sealed }) = message else {
        panic!("no envelope");
    };
    let mut sealed = sealed.to_vec();
    *sealed.last_mut().unwrap() ^= 1;
    let sealed = sealed.into();
    Message::Envelope(Envelope { grant, sealed })
}

/// Repeats a forged envelope until alice ends the session for misbehaviour.
async fn ends_by(session: &Session, forged: &Message) {
    for _ in 0..COPIES {
        if session.send_frame(forged.clone()).await.is_err() {
            break;
        }
    }
    let ended = timeout(PATIENCE, session.closed()).await;
    assert_eq!(ended, Ok(Ended::ByPeer(CloseCode::Misbehaved as u64)));
}
