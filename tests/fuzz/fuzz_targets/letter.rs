//! Letters: unwrapping the outer layer, and opening the message inside.
#![no_main]

use libfuzzer_sys::fuzz_target;
use m2_crypto::envelope::Letter;
use m2_fuzz::{NOW_S, Peer, rng};
use std::sync::LazyLock;

static PEERS: LazyLock<(Peer, Peer)> = LazyLock::new(|| (Peer::alice(), Peer::bob()));

fuzz_target!(|bytes: &[u8]| {
    let (alice, bob) = &*PEERS;
    if let Ok(letter) = Letter::unwrap(&mut rng(), &bob.identity, &bob.id, bytes) {
        let _ = letter.header();
        let certificate = alice.identity.certificate();
        let _ = letter.open(&mut rng(), &bob.identity, certificate, NOW_S);
    }
});
