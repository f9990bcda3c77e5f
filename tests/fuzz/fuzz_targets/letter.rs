//! Letters: opening with the right keys.
#![no_main]

use libfuzzer_sys::fuzz_target;
use m2_crypto::letter::Opener;
use m2_crypto::one_time_key::OneTimeKey;
use m2_fuzz::{NONCE, Peer, letter_secret, one_time_key, rng};
use std::sync::LazyLock;

static PEERS: LazyLock<(Peer, Peer)> = LazyLock::new(|| (Peer::alice(), Peer::bob()));
static KEY: LazyLock<OneTimeKey> = LazyLock::new(one_time_key);

fuzz_target!(|bytes: &[u8]| {
    let (alice, bob) = &*PEERS;
    let opener = Opener {
        identity: &bob.identity,
        peer_id: &bob.id,
        nonce: &NONCE,
        key: &KEY,
        secrets: &[&letter_secret()],
        sender: &alice.id,
        certificate: alice.identity.certificate(),
    };
    if let Ok(opened) = opener.open(&mut rng(), bytes) {
        assert_eq!(opened.header.sender, alice.id);
    }
});
