//! All providers behave the same (docs/spec/conventions.md#primitives).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod common;

use common::{pem, rng};
use m2_crypto::kem::{KemKeyPair, KemPublicKey};
use m2_crypto::session_key::{self, SessionKeyPair, SessionPublicKey};
use m2_crypto::{Identity, KeyError, OpenFailed, Provider, Secret, provider};
use proptest::prelude::*;
use std::sync::LazyLock;

static SESSION_KEY: LazyLock<rsa::RsaPrivateKey> =
    LazyLock::new(|| rsa::RsaPrivateKey::new(&mut rng(), 2048).unwrap());

fn identity(provider: &dyn Provider) -> Identity {
    Identity::from_pem(&pem("alice"), None, provider).unwrap()
}

fn session_pair(provider: &'static dyn Provider) -> SessionKeyPair {
    SessionKeyPair::from_key(&SESSION_KEY, provider).unwrap()
}

/// Every ordered pair of providers.
fn pairs() -> impl Iterator<Item = (&'static dyn Provider, &'static dyn Provider)> {
    let all = provider::all();
    all.iter()
        .flat_map(move |one| all.iter().map(move |other| (*one, *other)))
}

#[test]
fn each_verifies_the_others_signatures() {
    for (one, other) in pairs() {
        let (signer, verifier) = (identity(one), identity(other));
        for message in [&b""[..], b"text", &[7; 10_000]] {
            let mut signature = signer.sign(&mut rng(), message).unwrap();
            assert_eq!(signature.len(), 512);
            let certificate = verifier.certificate();
            certificate.verify(message, &signature).unwrap();
            assert!(certificate.verify(b"other", &signature).is_err());
            assert!(certificate.verify(message, &signature[1..]).is_err());
            signature[300] ^= 1;
            assert!(certificate.verify(message, &signature).is_err());
        }
    }
}

#[test]
fn each_opens_keys_wrapped_for_the_other() {
    for provider in provider::all() {
        let alice = identity(*provider);
        let certificate = alice.certificate();
        for secret in [&b""[..], &[1; 16], &[2; 446]] {
            let wrapped = certificate.wrap(&mut rng(), b"label", secret).unwrap();
            assert_eq!(wrapped.len(), 512);
            let opened = alice.unwrap(&mut rng(), b"label", &wrapped).unwrap();
            assert_eq!(opened.as_slice(), secret);
            let refuse = |label: &[u8], wrapped: &[u8]| {
                assert_eq!(alice.unwrap(&mut rng(), label, wrapped), Err(OpenFailed));
            };
            refuse(b"labels", &wrapped);
            refuse(b"", &wrapped);
            refuse(b"label", &wrapped[1..]);
            refuse(b"label", &[&wrapped[..], &[0]].concat());
            refuse(b"label", &[]);
            refuse(b"label", &[0xff; 512]);
            refuse(b"label", &[0; 512]);
            let mut altered = wrapped.clone();
            altered[511] ^= 1;
            refuse(b"label", &altered);
        }
        assert!(certificate.wrap(&mut rng(), b"label", &[0; 447]).is_err());
    }
}

#[test]
fn session_keys_open_under_each() {
    for (one, other) in pairs() {
        let (ours, theirs) = (session_pair(one), session_pair(other));
        let public = SessionPublicKey::from_modulus(ours.public().modulus()).unwrap();
        assert_eq!(&public, theirs.public());
        let wrapped = public.wrap(&mut rng(), b"label", &[9; 16]).unwrap();
        assert_eq!(wrapped.len(), session_key::MODULUS_BYTES);
        let opened = theirs.unwrap(&mut rng(), b"label", &wrapped).unwrap();
        assert_eq!(opened.as_slice(), &[9; 16]);
        assert_eq!(
            theirs.unwrap(&mut rng(), b"other", &wrapped),
            Err(OpenFailed)
        );
    }
}

#[test]
fn invalid_moduli_are_rejected() {
    let good = *session_pair(provider::default()).public().modulus();
    assert!(SessionPublicKey::from_modulus(&good).is_ok());
    let spoil = |at: usize, byte: u8| {
        let mut modulus = good;
        modulus[at] = byte;
        SessionPublicKey::from_modulus(&modulus).is_err()
    };
    assert!(spoil(255, good[255] & 0xfe), "even");
    assert!(spoil(0, 0x7f), "2047 bits");
    assert!(spoil(0, 0), "2040 bits");
    assert!(SessionPublicKey::from_modulus(&[0; 256]).is_err());
}

#[test]
fn kem_secrets_are_identical() {
    let seed = Secret::new([5; 64]);
    for (one, other) in pairs() {
        let ours = KemKeyPair::from_seed(&seed, one).unwrap();
        let theirs = KemKeyPair::from_seed(&seed, other).unwrap();
        assert_eq!(ours.public(), theirs.public());
        let public = KemPublicKey::from_bytes(ours.public().bytes()).unwrap();
        let (ciphertext, secret) = public.encapsulate(&mut rng());
        assert_eq!(theirs.decapsulate(&ciphertext).unwrap(), secret);
        let mut altered = ciphertext;
        altered[700] ^= 4;
        let rejected = ours.decapsulate(&altered).unwrap();
        assert_ne!(rejected, secret);
        assert_eq!(theirs.decapsulate(&altered).unwrap(), rejected);
    }
}

#[test]
fn kem_keys_that_are_not_reduced_are_rejected() {
    let pair = KemKeyPair::generate(&mut rng(), provider::default()).unwrap();
    // Each coefficient has 12 bits; the last 32 bytes are a seed of any value.
    for at in (0..1_152).step_by(3) {
        for coefficient in [3_329_u16, 4_095] {
            let mut bytes = *pair.public().bytes();
            let [low, high] = coefficient.to_le_bytes();
            bytes[at] = low;
            bytes[at + 1] = bytes[at + 1] & 0xf0 | high;
            let parsed = KemPublicKey::from_bytes(&bytes);
            assert_eq!(parsed.unwrap_err(), KeyError::Encoding);
        }
    }
}

proptest! {
    #[test]
    fn aead_outputs_are_identical(
        key in any::<[u8; 16]>(),
        nonce in any::<[u8; 12]>(),
        aad in proptest::collection::vec(any::<u8>(), 0..64),
        text in proptest::collection::vec(any::<u8>(), 0..1500),
        flip in any::<prop::sample::Index>(),
    ) {
        let mut seen = Vec::new();
        for (one, other) in pairs() {
            let key = Secret::new(key);
            let (sealer, opener) = (one.aead(&key), other.aead(&key));
            let mut data = text.clone();
            let tag = sealer.seal(&nonce, &aad, &mut data);
            seen.push((data.clone(), tag));
            let sealed = data.clone();
            opener.open(&nonce, &aad, &mut data, &tag).unwrap();
            prop_assert_eq!(&data, &text);

            let mut whole = [&sealed[..], &tag].concat();
            let at = flip.index(whole.len());
            whole[at] ^= 1;
            let (altered, tag) = whole.split_last_chunk::<16>().unwrap();
            let opened = opener.open(&nonce, &aad, &mut altered.to_vec(), tag);
            prop_assert_eq!(opened, Err(OpenFailed));
        }
        prop_assert!(seen.iter().all(|one| *one == seen[0]));
    }
}

#[test]
fn names_differ() {
    let mut names: Vec<&str> = provider::all().iter().map(|one| one.name()).collect();
    names.dedup();
    assert_eq!(names.len(), provider::all().len());
    assert!(names.contains(&provider::default().name()));
}
