//! The keys of messages are in no store, and in the memory of a daemon no longer than it needs them. So
//! a copy of both opens nothing that was sent before (docs/spec/envelope.md#session).
//!
//! The contact computes all keys by itself, and looks for them in the memory of alice's process.

use crate::forge::{join, open, seal, text};
use crate::scene::Scene;
use m2_crypto::envelope::EpochSecret;
use m2_crypto::label;
use m2_net::session::{CloseCode, Session};
use m2_tests::hostile::{Caller, identity};
use m2_tests::memory::{Needle, found_in};
use m2_tests::scenario::eventually;

/// The store's tests read its pages in the same way.
#[path = "../../../m2d/store/src/pages.rs"]
mod pages;

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_erased_after_use_and_with_their_session() {
    let mut scene = Scene::start().await;
    let carol = Caller::new(identity("carol").unwrap()).unwrap();
    let session = join(&scene, &carol, "carol").await;
    let [to_first, to_second] = epoch_secrets(&session, EpochSecret::EXPORT_OF_INITIATOR);
    let [from_first, from_second] = epoch_secrets(&session, EpochSecret::EXPORT_OF_RESPONDER);
    // Controls: alice needs these.
    for needed in [&to_first, &from_first] {
        assert!(is_remembered(&scene, needed));
    }

    let mut epoch = open(&session, carol.identity(), 1);
    let root = root_of(&session, epoch.grant());
    let message = seal(&mut epoch, 1, [1; 16], text("first"));
    session.send_frame(message).await.unwrap();
    scene.alice.await_text("carol", "first").await.unwrap();
    scene.alice.send("carol", "an answer").await.unwrap();
    let [used, next] = first_step(&root);
    let root = Needle::new("root of the chain", &root);
    forgets(&scene, &[&to_first, &from_first, &root, &used]).await;
    for needed in [&to_second, &from_second, &next] {
        assert!(is_remembered(&scene, needed));
    }

    session.close(CloseCode::Done);
    forgets(&scene, &[&to_second, &from_second, &next]).await;

    scene.pair.alice.stop().await.unwrap();
    let key = identity("alice").unwrap().store_key();
    let stored = |bytes: &[u8]| pages::hold(&scene.pair.alice.data(), key.expose(), bytes);
    // A control: the text is there.
    assert!(stored(b"first"));
    for secret in [to_first, to_second, from_first, from_second, used, next] {
        assert!(!stored(secret.bytes()), "{}", secret.name());
    }
}

/// The first two states of the secret from which a session derives the shares of epochs.
fn epoch_secrets(session: &Session, label: &'static [u8]) -> [Needle; 2] {
    let first = session.exporter(label, &[]).unwrap();
    let step = label::derive::<64>(first.expose(), &[], "epoch step", &[]);
    let whose = String::from_utf8_lossy(label);
    [
        Needle::new(&format!("first {whose}"), first.expose()),
        Needle::new(&format!("second {whose}"), &step.expose()[..32]),
    ]
}

/// The root of the session's first epoch, as alice's private key opens its grant.
fn root_of(session: &Session, grant: &[u8]) -> [u8; 32] {
    let first = session
        .exporter(EpochSecret::EXPORT_OF_INITIATOR, &[])
        .unwrap();
    let step = label::derive::<64>(first.expose(), &[], "epoch step", &[]);
    let (sender, receiver) = (&grant[2..34], &grant[34..66]);
    let named = [sender, receiver, &grant[66..74], &grant[74..82]];
    let mut rng = rand_core::UnwrapErr(getrandom::SysRng);
    let purpose = label::encode("content key", &named);
    let key = identity("alice").unwrap();
    let key = key.unwrap(&mut rng, &purpose, &grant[134..646]).unwrap();
    let secrets = [&key[..], &step.expose()[32..]].concat();
    let salt = label::hash("signed grant", &[grant]);
    *label::derive::<32>(&secrets, &salt, "chain root", &[sender, receiver]).expose()
}

/// The seed of an epoch's first message, and the chain key after it.
fn first_step(root: &[u8; 32]) -> [Needle; 2] {
    let step = label::derive::<64>(root, &[], "chain step", &[]);
    let (next, seed) = step.expose().split_at(32);
    [
        Needle::new("seed of the message", seed),
        Needle::new("chain key after the message", next),
    ]
}

fn is_remembered(scene: &Scene, needle: &Needle) -> bool {
    let pid = scene.pair.alice.pid().unwrap();
    !found_in(pid, std::slice::from_ref(needle))
        .unwrap()
        .is_empty()
}

/// Waits until none of these is in alice's memory.
async fn forgets(scene: &Scene, needles: &[&Needle]) {
    for needle in needles {
        let what = format!("a memory without the {}", needle.name());
        let gone = eventually(&what, async || {
            Ok((!is_remembered(scene, needle)).then_some(()))
        });
        gone.await.unwrap();
    }
}
