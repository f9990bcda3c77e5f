//! Envelopes of a known epoch with a wrong tag, as far ahead as the receiver accepts: each requires
//! about two thousand derivations before its tag can be checked.

use crate::forge::{join, open, seal, text};
use crate::scene::Scene;
use m2_crypto::envelope::MAX_SKIPPED;
use m2_net::session::{CloseCode, Ended, Session};
use m2_net::wire::{Envelope, Message};
use m2_tests::hostile::{Caller, identity};
use m2_tests::scenario::PATIENCE;
use tokio::time::timeout;

/// Derivations that one peer can make a daemon waste: the burst, and one minute's refill.
const ALLOWANCE: u64 = 8_192 + 16 * 60;
/// Envelopes sent in each of the two sessions: without a bound, 80 million derivations in total.
const COPIES: usize = 20_000;

#[tokio::test(flavor = "multi_thread")]
async fn forged_envelopes_far_ahead_end_the_session_and_the_next_one() {
    let scene = Scene::start().await;
    let carol = Caller::new(identity("carol").unwrap()).unwrap();
    let session = join(&scene, &carol, "carol").await;
    let far = [1, 2].map(|number| far_ahead(carol.identity(), number));
    for (first, _) in &far {
        session.send_frame(first.clone()).await.unwrap();
    }
    scene.alice.await_text("carol", "once 1").await.unwrap();
    scene.alice.await_text("carol", "once 2").await.unwrap();

    let forged = far.map(|(_, forged)| forged);
    ends_by(&session, &forged).await;
    scene.counted("ENVELOPE_COSTLY", 1).await;
    // A new session does not come with a new allowance.
    let again = carol.dial(scene.address, scene.alices_id()).await.unwrap();
    ends_by(&again, &forged).await;
    scene.counted("ENVELOPE_COSTLY", 2).await;
    let wasted = scene.count("DERIVATION_WASTED").await;
    assert!(wasted > 2_000, "{wasted}");
    assert!(wasted <= ALLOWANCE, "{wasted}");
    scene.holds().await;
}

/// The first message of an epoch, and one far ahead with a wrong tag.
fn far_ahead(sender: &m2_crypto::Identity, number: u64) -> (Message, Message) {
    let mut epoch = open(sender, number);
    let id = |n: u32| [&[number as u8; 12][..], &n.to_be_bytes()].concat();
    let id = |n: u32| id(n).try_into().unwrap();
    let first = seal(&mut epoch, number, id(0), text(&format!("once {number}")));
    epoch.confirm();
    for n in 1..MAX_SKIPPED {
        let _ = epoch.seal(&id(n), b"overtaken").unwrap();
    }
    let far = seal(&mut epoch, 9, id(MAX_SKIPPED), text("far ahead"));
    (first, spoilt(far))
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

/// Alternates between the forged envelopes of both epochs, so that the derivations for one are of no
/// use for the next, until alice ends the session for misbehaviour.
async fn ends_by(session: &Session, forged: &[Message; 2]) {
    for number in 0..COPIES {
        if session
            .send_frame(forged[number % 2].clone())
            .await
            .is_err()
        {
            break;
        }
    }
    let ended = timeout(PATIENCE, session.closed()).await;
    assert_eq!(ended, Ok(Ended::ByPeer(CloseCode::Misbehaved as u64)));
}
