//! Identities, certificates and the key file (docs/spec/identity.md).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod common;

use common::{Peer, pem, rng, vectors_dir};
use m2_crypto::{Certificate, Identity, KeyError, PeerId, provider};
use rsa::RsaPrivateKey;
use rsa::pkcs8::{DecodePrivateKey, EncodePrivateKey, LineEnding};
use rsa::traits::{PrivateKeyParts, PublicKeyParts};
use std::io::Write;
use std::process::{Command, Stdio};

const PASSPHRASE: &[u8] = b"correct horse";

fn read(pem: &str, passphrase: Option<&[u8]>) -> Result<Identity, KeyError> {
    Identity::from_pem(pem, passphrase, provider::default())
}

fn keystore(name: &str) -> String {
    std::fs::read_to_string(vectors_dir().join("keystore").join(name)).unwrap()
}

#[test]
fn a_plain_key_file_round_trips() {
    let alice = Peer::alice().identity;
    let text = alice.to_pem(&mut rng(), None).unwrap();
    assert!(text.starts_with("-----BEGIN PRIVATE KEY-----\n"));
    // Identical to the bytes that openssl wrote.
    assert_eq!(*text, pem("alice"));
    // An unneeded passphrase is ignored.
    for passphrase in [None, Some(PASSPHRASE)] {
        let again = read(&text, passphrase).unwrap();
        assert_eq!(again.certificate(), alice.certificate());
    }
}

#[test]
fn an_encrypted_key_file_round_trips() {
    let alice = Peer::alice().identity;
    let text = alice.to_pem(&mut rng(), Some(PASSPHRASE)).unwrap();
    assert!(text.starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----\n"));
    let again = read(&text, Some(PASSPHRASE)).unwrap();
    assert_eq!(again.certificate(), alice.certificate());
    assert_eq!(again.store_key(), alice.store_key());
    assert_eq!(read(&text, None).unwrap_err(), KeyError::PassphraseNeeded);
    for wrong in ["", "correct hors", "Correct horse", "correct horse\n"] {
        let error = read(&text, Some(wrong.as_bytes())).unwrap_err();
        assert_eq!(error, KeyError::Passphrase);
    }
}

#[test]
fn two_encrypted_files_of_one_key_differ() {
    let alice = Peer::alice().identity;
    let write = || alice.to_pem(&mut rng(), Some(PASSPHRASE)).unwrap();
    assert_ne!(write(), write());
}

#[test]
fn a_wrong_passphrase_is_reported_even_if_the_padding_is_valid() {
    // With PBKDF2, which is cheap enough for many tries. One in 256 decrypts to valid padding.
    let text = keystore("openssl-default.pem");
    for n in 0..600_u32 {
        let error = read(&text, Some(&n.to_be_bytes())).unwrap_err();
        assert_eq!(error, KeyError::Passphrase, "try {n}");
    }
}

#[test]
fn files_encrypted_by_openssl_open() {
    let alice = Peer::alice().identity;
    for name in [
        "openssl-scrypt.pem",
        "openssl-pbkdf2.pem",
        "openssl-default.pem",
    ] {
        let text = keystore(name);
        let again = read(&text, Some(PASSPHRASE)).expect(name);
        assert_eq!(again.certificate(), alice.certificate(), "{name}");
        assert_eq!(again.store_key(), alice.store_key(), "{name}");
        let error = read(&text, Some(b"wrong")).unwrap_err();
        assert_eq!(error, KeyError::Passphrase, "{name}");
    }
}

#[test]
fn openssl_opens_our_encrypted_files() {
    let text = Peer::alice()
        .identity
        .to_pem(&mut rng(), Some(PASSPHRASE))
        .unwrap();
    match openssl(&["pkey", "-passin", "pass:correct horse"], &text) {
        None => skip("openssl is not installed: no other program read the key file"),
        Some(Ok(plain)) => assert_eq!(plain, pem("alice")),
        Some(Err(message)) => panic!("openssl does not open our key file: {message}"),
    }
    if let Some(opened) = openssl(&["pkey", "-passin", "pass:wrong"], &text) {
        assert!(opened.is_err());
    }
}

/// Returns `None` if openssl is not installed, otherwise its output or its error message.
fn openssl(arguments: &[&str], input: &str) -> Option<Result<String, String>> {
    let mut child = Command::new("openssl")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .ok()?;
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(input.as_bytes()).unwrap();
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Some(if output.status.success() {
        Ok(text(output.stdout))
    } else {
        Err(text(output.stderr))
    })
}

#[test]
fn other_keys_are_rejected() {
    for (name, error) in [
        ("refused-2048-bits.pem", KeyError::Parameters),
        ("refused-4095-bits.pem", KeyError::Parameters),
        ("refused-exponent-3.pem", KeyError::Parameters),
        ("refused-ec.pem", KeyError::Encoding),
        ("refused-pkcs1.pem", KeyError::Encoding),
    ] {
        for provider in provider::all() {
            let refused = Identity::from_pem(&keystore(name), None, *provider);
            assert_eq!(refused.unwrap_err(), error, "{name} {}", provider.name());
        }
    }
}

#[test]
fn malformed_files_are_rejected() {
    let plain = pem("alice");
    let encrypted = keystore("openssl-scrypt.pem");
    let half = |text: &str| text[..text.len() / 2].to_owned();
    let spoilt = |text: &str| text.replacen('M', "N", 1);
    let certificate = plain.replace("PRIVATE KEY", "CERTIFICATE");
    for text in [
        String::new(),
        "no key".to_owned(),
        "\u{0}\u{ff}".to_owned(),
        half(&plain),
        half(&encrypted),
        spoilt(&plain),
        spoilt(&encrypted),
        certificate,
    ] {
        let error = read(&text, Some(PASSPHRASE)).unwrap_err();
        assert_eq!(error, KeyError::Encoding, "{:.40}", text);
    }
}

#[test]
fn a_key_whose_parts_do_not_match_is_rejected() {
    let key = RsaPrivateKey::from_pkcs8_pem(&pem("alice")).unwrap();
    let der = key.to_pkcs8_der().unwrap();
    let d = key.d().to_be_bytes_trimmed_vartime();
    let at = der
        .as_bytes()
        .windows(d.len())
        .position(|window| window == &d[..])
        .unwrap();
    let mut bytes = der.as_bytes().to_vec();
    bytes[at + 100] ^= 1;
    let text = pem_of(&bytes);
    assert!(read(&text, None).is_err());
}

fn pem_of(der: &[u8]) -> String {
    let body = data_encoding::BASE64.encode(der);
    let lines: Vec<&str> = body
        .as_bytes()
        .chunks(64)
        .map(|line| std::str::from_utf8(line).unwrap())
        .collect();
    format!(
        "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n",
        lines.join("\n")
    )
}

#[test]
fn the_store_key_depends_on_the_key_alone() {
    let alice = Peer::alice().identity;
    let key = RsaPrivateKey::from_pkcs8_pem(&pem("alice")).unwrap();
    let primes = key
        .primes()
        .iter()
        .rev()
        .map(|p| p.as_ref().clone())
        .collect();
    let (n, e, d) = (key.n().as_ref().clone(), key.e().clone(), key.d().clone());
    let swapped = RsaPrivateKey::from_components(n, e, d, primes).unwrap();
    let text = swapped.to_pkcs8_pem(LineEnding::LF).unwrap();
    assert_ne!(*text, pem("alice"));
    for provider in provider::all() {
        let again = Identity::from_pem(&text, None, *provider).unwrap();
        assert_eq!(again.store_key(), alice.store_key());
        let signature = again.sign(&mut rng(), b"text").unwrap();
        alice.certificate().verify(b"text", &signature).unwrap();
    }
    let windows = pem("alice").replace('\n', "\r\n");
    assert_eq!(read(&windows, None).unwrap().store_key(), alice.store_key());
    assert_ne!(alice.store_key(), Peer::bob().identity.store_key());
    assert_ne!(alice.store_key(), alice.mailbox_key());
    assert_ne!(alice.mailbox_key(), Peer::bob().identity.mailbox_key());
}

#[test]
fn a_generated_identity_equals_one_read_from_a_file() {
    let new = Identity::generate(&mut rng(), provider::default()).unwrap();
    let text = new.to_pem(&mut rng(), None).unwrap();
    let again = read(&text, None).unwrap();
    assert_eq!(new.certificate(), again.certificate());
    assert_eq!(new.store_key(), again.store_key());
    let signature = new.sign(&mut rng(), b"text").unwrap();
    again.certificate().verify(b"text", &signature).unwrap();
}

#[test]
fn only_the_canonical_certificate_is_accepted() {
    let alice = Peer::alice().identity;
    let spki = alice.certificate().spki_der();
    assert_eq!(spki.len(), 550);
    assert_eq!(
        &Certificate::from_spki_der(spki).unwrap(),
        alice.certificate()
    );
    let refuse = |bytes: &[u8]| Certificate::from_spki_der(bytes).unwrap_err();
    assert_eq!(refuse(&[spki, &[0]].concat()), KeyError::Encoding);
    assert_eq!(refuse(&spki[..549]), KeyError::Encoding);
    assert_eq!(refuse(&[]), KeyError::Encoding);
    assert_eq!(refuse(&[0x30; 5000]), KeyError::Encoding);
    for at in 0..40 {
        let mut altered = spki.to_vec();
        altered[at] ^= 1;
        // A changed bit of the modulus makes another key; a change of any other bit must be
        // rejected.
        let modulus = at >= 33;
        assert_eq!(
            Certificate::from_spki_der(&altered).is_ok(),
            modulus,
            "{at}"
        );
    }
    let mut even = spki.to_vec();
    even[544] &= 0xfe;
    assert!(Certificate::from_spki_der(&even).is_err());
    let mut exponent = spki.to_vec();
    *exponent.last_mut().unwrap() = 3;
    assert_eq!(refuse(&exponent), KeyError::Parameters);
}

#[test]
fn debug_shows_nothing() {
    let alice = Peer::alice().identity;
    let shown = format!(
        "{alice:?} {:?} {:?}",
        alice.certificate(),
        alice.store_key()
    );
    assert_eq!(shown, "Identity(..) Certificate(..) Secret<32>(..)");
}

/// Reports the current test as skipped, in the form that `cargo verify` counts.
fn skip(why: &str) {
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("unnamed");
    let _ = writeln!(std::io::stderr(), "SKIPPED {test}: {why}");
}

#[test]
fn padding_in_the_text_of_a_peer_id_is_ignored() {
    use bech32::primitives::iter::{ByteIterExt as _, Fe32IterExt as _};
    let id = PeerId::from_bytes([0x5a; 32]);
    let mut characters: Vec<_> = id.as_bytes().iter().copied().bytes_to_fes().collect();
    assert_eq!(characters.len(), 52);
    let last = characters.pop().unwrap().to_u8();
    assert_eq!(last & 0x0f, 0);
    let hrp = bech32::Hrp::parse("m2").unwrap();
    for padding in [0, 1, 0x0f] {
        let last = bech32::Fe32::try_from(last | padding).unwrap();
        let padded = characters.iter().copied().chain([last]);
        let text: String = padded
            .with_checksum::<bech32::Bech32m>(&hrp)
            .chars()
            .collect();
        assert_eq!(text.parse(), Ok(id));
        assert_eq!(text == id.to_string(), padding == 0);
    }
}
