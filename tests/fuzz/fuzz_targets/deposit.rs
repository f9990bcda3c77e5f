//! Deposit tokens, and the public values of one-time keys: a value that parses is unchanged by
//! encoding it, and a key that parses is usable.
#![no_main]

use libfuzzer_sys::fuzz_target;
use m2_crypto::Secret;
use m2_crypto::deposit::{BoxKey, DepositToken, TokenVerifier};
use m2_crypto::one_time_key::{OneTimeCiphertext, OneTimeKey, OneTimePublicKey};
use m2_fuzz::{NOW_S, Peer, one_time_key, rng};
use std::sync::LazyLock;

static BOB: LazyLock<Peer> = LazyLock::new(Peer::bob);
static VERIFIER: LazyLock<TokenVerifier> = LazyLock::new(|| TokenVerifier::new(&mut rng()));
static BOX_KEY: LazyLock<BoxKey> = LazyLock::new(|| BoxKey::new(Secret::new([1; 32])));
static KEY: LazyLock<OneTimeKey> = LazyLock::new(one_time_key);

fuzz_target!(|bytes: &[u8]| {
    if let Some(token) = DepositToken::from_bytes(bytes) {
        assert_eq!(token.to_bytes(), bytes);
        let _ = VERIFIER.verify(&BOB.id, Some(&BOX_KEY), &token, NOW_S);
        assert!(VERIFIER.verify(&BOB.id, None, &token, NOW_S).is_err());
    }
    if let Ok(key) = OneTimePublicKey::from_bytes(bytes) {
        assert_eq!(key.to_bytes(), bytes);
        assert!(key.encapsulate(&mut rng()).is_ok());
    }
    if let Some(ciphertext) = OneTimeCiphertext::from_bytes(bytes) {
        assert_eq!(ciphertext.to_bytes(), bytes);
        let _ = KEY.decapsulate(&ciphertext);
    }
});
