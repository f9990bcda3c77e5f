//! One-time keys are the same under every provider, and so are their errors
//! (docs/spec/letter.md#one-time-keys).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod common;

use common::rng;
use m2_crypto::one_time_key::{OneTimeCiphertext, OneTimeKey, OneTimePublicKey, OneTimeSeed};
use m2_crypto::{KeyError, Provider, Secret, provider};

fn key(byte: u8, provider: &dyn Provider) -> OneTimeKey {
    OneTimeSeed::new(Secret::new([byte; 96]))
        .key(provider)
        .unwrap()
}

/// Every ordered pair of providers.
fn pairs() -> impl Iterator<Item = (&'static dyn Provider, &'static dyn Provider)> {
    let all = provider::all();
    all.iter()
        .flat_map(move |one| all.iter().map(move |other| (*one, *other)))
}

#[test]
fn secrets_are_identical() {
    for (one, other) in pairs() {
        let (ours, theirs) = (key(5, one), key(5, other));
        assert_eq!(ours.public(), theirs.public());
        let public = OneTimePublicKey::from_bytes(&ours.public().to_bytes()).unwrap();
        let (ciphertext, secrets) = public.encapsulate(&mut rng()).unwrap();
        let ciphertext = OneTimeCiphertext::from_bytes(&ciphertext.to_bytes()).unwrap();
        assert_eq!(theirs.decapsulate(&ciphertext).unwrap(), secrets);
        let stranger = key(6, other).decapsulate(&ciphertext).unwrap();
        assert_ne!(stranger.x25519, secrets.x25519);
        assert_ne!(stranger.kem, secrets.kem);

        let mut altered = ciphertext;
        altered.ephemeral[0] ^= 1;
        altered.kem[700] ^= 4;
        let rejected = ours.decapsulate(&altered).unwrap();
        assert_ne!(rejected.x25519, secrets.x25519);
        assert_ne!(rejected.kem, secrets.kem);
        assert_eq!(theirs.decapsulate(&altered).unwrap(), rejected);
    }
}

#[test]
fn seeds_differ() {
    let seeds = [
        OneTimeSeed::random(&mut rng()),
        OneTimeSeed::random(&mut rng()),
    ];
    let public = seeds.map(|seed| seed.key(provider::default()).unwrap().public().to_bytes());
    assert_ne!(public[0][..32], public[1][..32]);
    assert_ne!(public[0][32..], public[1][32..]);
}

#[test]
fn low_order_points_are_the_same_error() {
    let mut one = [0; 32];
    one[0] = 1;
    for point in [[0; 32], one] {
        let mut bytes = key(5, provider::default()).public().to_bytes();
        bytes[..32].copy_from_slice(&point);
        let parsed = OneTimePublicKey::from_bytes(&bytes);
        assert_eq!(parsed, Err(KeyError::Encoding));
        for provider in provider::all() {
            let key = key(5, *provider);
            let (mut ciphertext, _) = key.public().encapsulate(&mut rng()).unwrap();
            ciphertext.ephemeral = point;
            let opened = key.decapsulate(&ciphertext);
            assert_eq!(opened, Err(KeyError::Encoding), "{}", provider.name());
        }
    }
}

#[test]
fn ml_kem_keys_that_are_not_reduced_are_rejected() {
    let mut bytes = key(5, provider::default()).public().to_bytes();
    // The first coefficient of the ML-KEM half, 12 bits: 3,329 and above.
    bytes[32] = 0x01;
    bytes[33] = bytes[33] & 0xf0 | 0x0d;
    let parsed = OneTimePublicKey::from_bytes(&bytes);
    assert_eq!(parsed, Err(KeyError::Encoding));
}

/// X25519 of the two libraries agrees, and both refuse the same points.
#[cfg(feature = "aws-lc")]
#[test]
fn x25519_is_that_of_aws_lc() {
    use aws_lc_rs::agreement::{PrivateKey, UnparsedPublicKey, X25519, agree};
    let provider = provider::default();
    for byte in 0..32 {
        let private = PrivateKey::from_private_key(&X25519, &[byte; 32]).unwrap();
        let ours = key(byte, provider).public().to_bytes();
        assert_eq!(private.compute_public_key().unwrap().as_ref(), &ours[..32]);
        let public = key(byte ^ 0x55, provider);
        let (mut ciphertext, _) = public.public().encapsulate(&mut rng()).unwrap();
        ciphertext.ephemeral = ours[..32].try_into().unwrap();
        let shared = public.decapsulate(&ciphertext).unwrap().x25519;
        let theirs = public.public().to_bytes();
        let theirs = UnparsedPublicKey::new(&X25519, &theirs[..32]);
        let agreed = agree(&private, theirs, (), |secret| Ok(secret.to_vec()));
        assert_eq!(agreed.unwrap(), shared.expose());
        let zero = UnparsedPublicKey::new(&X25519, [0; 32]);
        let refused = agree(&private, zero, (), |secret| Ok(secret.to_vec()));
        assert_eq!(refused, Err(()));
    }
}
