//! The key of a letter is gone once the letter is taken: from the owner's memory, and from every page of
//! its store and of the store's log. So a copy of both, and the recorded letter, open nothing
//! (docs/spec/letter.md#one-time-keys).

use m2_crypto::letter::{LetterSecret, Opener};
use m2_crypto::one_time_key::OneTimeSeed;
use m2_crypto::{Certificate, Secret, provider};
use m2_tests::hostile::{identity, public_id};
use m2_tests::memory::{Needle, found_in};
use m2_tests::scenario::{Api, Trio, eventually};
use rand_core::UnwrapErr;
use rusqlite::{Connection, OpenFlags};
use std::collections::HashMap;

use crate::disk::Disk;

/// The store's tests read its pages in the same way.
#[path = "../../../m2d/store/src/pages.rs"]
mod pages;

/// Reads bob's store while he runs.
fn store(trio: &Trio) -> Connection {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
    let file = Connection::open_with_flags(trio.bob.data().join("store.db"), flags).unwrap();
    let key = data_encoding::HEXLOWER.encode(identity("bob").unwrap().store_key().expose());
    let pragmas = format!("PRAGMA key = \"x'{key}'\"; PRAGMA cipher_hmac_algorithm = HMAC_SHA256;");
    file.execute_batch(&pragmas).unwrap();
    file
}

/// The seeds of the keys that bob gave away, by nonce.
fn seeds(trio: &Trio) -> HashMap<[u8; 16], [u8; 96]> {
    let file = store(trio);
    let mut statement = file
        .prepare("SELECT nonce, seed FROM issued_tokens")
        .unwrap();
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)));
    rows.unwrap().map(Result::unwrap).collect()
}

/// The letter secrets that bob has of alice.
fn secrets(trio: &Trio) -> Vec<LetterSecret> {
    let file = store(trio);
    let mut statement = file
        .prepare("SELECT session, secret FROM letter_secrets")
        .unwrap();
    let rows = statement.query_map([], |row| {
        Ok(LetterSecret::new(row.get(0)?, Secret::new(row.get(1)?)))
    });
    rows.unwrap().map(Result::unwrap).collect()
}

/// Returns whether a recorded letter opens with everything that bob had when it waited, with this seed.
fn opens(nonce: &[u8; 16], letter: &[u8], seed: &[u8; 96], secrets: &[LetterSecret]) -> bool {
    let (alice, bob) = (identity("alice").unwrap(), identity("bob").unwrap());
    let certificate: &Certificate = alice.certificate();
    let secrets: Vec<&LetterSecret> = secrets.iter().collect();
    let opener = Opener {
        identity: &bob,
        peer_id: &public_id(&bob),
        nonce: &m2_crypto::deposit::DepositNonce::from_bytes(*nonce),
        key: &OneTimeSeed::new(Secret::new(*seed))
            .key(provider::default())
            .unwrap(),
        secrets: &secrets,
        sender: &public_id(&alice),
        certificate,
    };
    let mut rng = UnwrapErr(getrandom::SysRng);
    opener.open(&mut rng, letter).is_ok()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_key_of_a_letter_is_erased_when_it_is_taken() {
    let mut trio = Trio::start().await.unwrap();
    trio.consent().await.unwrap();
    let (before, known) = (seeds(&trio), secrets(&trio));
    assert_eq!(before.len(), 16);
    trio.bob.stop().await.unwrap();
    trio.wire.cut();
    let alice = Api::of(&trio.alice).await.unwrap();
    let id = alice.send("bob", "for once").await.unwrap();
    let deposited = m2_proto::api::v1::MessageState::Deposited;
    alice.await_message(&id, deposited).await.unwrap();
    let [(nonce, letter)] = <[_; 1]>::try_from(Disk::of(&trio.carol).letters()).unwrap();
    let (used, other) = (
        before[&nonce],
        *before.iter().find(|it| *it.0 != nonce).unwrap().1,
    );
    // Controls: with the seed the recorded letter opens, and with another it does not.
    assert!(opens(&nonce, &letter, &used, &known));
    assert!(!opens(&nonce, &letter, &other, &known));
    assert!(!opens(&nonce, &letter, &used, &[]));

    trio.bob.restart().await.unwrap();
    let bob = Api::of(&trio.bob).await.unwrap();
    bob.await_text("alice", "for once").await.unwrap();
    let after = seeds(&trio);
    assert!(!after.contains_key(&nonce) && after.len() == 15);
    let needle = [Needle::new("seed of the letter's key", &used)];
    let halves = [
        Needle::new("X25519 half", &used[..32]),
        Needle::new("ML-KEM half", &used[32..]),
    ];
    for needles in [&needle[..], &halves[..]] {
        eventually("a memory without the key", async || {
            let found = found_in(trio.bob.pid().unwrap(), needles)?;
            Ok(found.is_empty().then_some(()))
        })
        .await
        .unwrap();
    }
    let key = identity("bob").unwrap().store_key();
    let stored = |bytes: &[u8]| pages::hold(&trio.bob.data(), key.expose(), bytes);
    eventually("no page with the key", async || {
        Ok((!stored(&used)).then_some(()))
    })
    .await
    .unwrap();
    // A control: the seeds of unused tokens are there.
    assert!(stored(&other));
}
