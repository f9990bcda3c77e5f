//! Grants: parsing, and all checks that precede the unwrapping of the key.
#![no_main]

use libfuzzer_sys::fuzz_target;
use m2_crypto::envelope::Grant;
use m2_fuzz::{NOW_S, Peer};
use std::sync::LazyLock;

static PEERS: LazyLock<(Peer, Peer)> = LazyLock::new(|| (Peer::alice(), Peer::bob()));

fuzz_target!(|bytes: &[u8]| {
    let (alice, bob) = &*PEERS;
    if let Ok(grant) = Grant::parse(bytes) {
        let _ = grant.verify(
            alice.identity.certificate(),
            &alice.id,
            &bob.id,
            bob.identity.certificate(),
            NOW_S,
        );
    }
});
