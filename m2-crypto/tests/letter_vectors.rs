//! The fixed vectors of deposits, one-time keys and letters, under every provider. `M2_WRITE_VECTORS=1`
//! regenerates them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod common;

use common::letter::{HEAD, LENGTH_AT, Place, SIGNATURE_AT, fields, inside};
use common::vectors::{FixedRng, array, bytes, hex, list, load, load_exact, number, text};
use common::{INCARNATION, NOW_S, Peer};
use m2_crypto::deposit::{
    BoxKey, DepositNonce, DepositToken, MarkSalt, PERIOD_S, Period, TokenVerifier,
};
use m2_crypto::letter::{LetterHeader, LetterSecret, Opener, Recipient};
use m2_crypto::one_time_key::{OneTimeCiphertext, OneTimePublicKey, OneTimeSeed};
use m2_crypto::provider::rustcrypto::RustCrypto;
use m2_crypto::{KeyError, OpenFailed, PeerId, Provider, Secret, label, provider};
use serde_json::{Value, json};

fn under_every_provider(check: impl Fn(&dyn Provider)) {
    for provider in provider::all() {
        check(*provider);
    }
}

// ---- Deposits ----

const DAY_S: u64 = 24 * 3_600;

#[test]
fn deposit_vectors() {
    let stored = load_exact("deposit.json", generate_deposits);
    for case in list(&stored, "tokens") {
        check_token(case);
    }
    for case in list(&stored, "checks") {
        check_deposit(case);
    }
}

fn generate_deposits() -> Value {
    let (key, owner) = ([0x11; 32], [0x22; 32]);
    let current = Period::at(NOW_S).number();
    let token = |nonce: u8, period: u16| {
        let key = BoxKey::new(Secret::new(key));
        let nonce = DepositNonce::from_bytes([nonce; 16]);
        key.token(&PeerId::from_bytes(owner), nonce, Period::new(period))
    };
    let tokens: Vec<Value> = [(3, current), (4, current), (3, 0), (3, u16::MAX)]
        .map(|(nonce, period)| {
            json!({
                "boxKey": hex(key),
                "box": hex(owner),
                "nonce": hex([nonce; 16]),
                "period": period,
                "token": hex(token(nonce, period).to_bytes()),
            })
        })
        .into();
    let mark = |salt: u8, nonce: u8, letter: &[u8]| {
        let nonce = DepositNonce::from_bytes([nonce; 16]);
        json!({
            "salt": hex([salt; 32]),
            "nonce": hex(nonce.as_bytes()),
            "letter": hex(letter),
            "mark": hex(MarkSalt::new(Secret::new([salt; 32])).mark(&nonce, letter).as_bytes()),
        })
    };
    json!({
        "about": "docs/spec/mailbox.md, tokens; periods have 28 days and begin with 1970-01-01",
        "tokens": tokens,
        "checks": deposit_checks(&token(3, current).to_bytes(), key, owner),
        "marks": [mark(5, 3, b"letter"), mark(6, 3, b"letter"), mark(5, 4, b"letter"), mark(5, 3, b"")],
    })
}

/// Checks of one token: at other times, with each of its parts altered, and for another box or key.
fn deposit_checks(token: &[u8; 34], key: [u8; 32], owner: [u8; 32]) -> Vec<Value> {
    let start_s = Period::at(NOW_S).start_s();
    let check = |what: &str, token: &[u8], key: Option<[u8; 32]>, owner: [u8; 32], now_s: u64| {
        json!({
            "what": what,
            "boxKey": key.map(hex),
            "box": hex(owner),
            "token": hex(token),
            "now": now_s,
            "valid": what.starts_with("valid"),
        })
    };
    let flipped = |at: usize| {
        let mut token = *token;
        token[at] ^= 1;
        token
    };
    let at = |what, now_s| check(what, token, Some(key), owner, now_s);
    let altered = |what, byte| check(what, &flipped(byte), Some(key), owner, NOW_S);
    vec![
        at("valid at present", NOW_S),
        at("valid a day before its period", start_s - DAY_S),
        at("a second earlier", start_s - DAY_S - 1),
        at(
            "valid to the end of the next period",
            start_s + 2 * PERIOD_S - 1,
        ),
        at("a second later", start_s + 2 * PERIOD_S),
        altered("another nonce", 0),
        altered("the next period", 17),
        altered("another tag", 18),
        altered("another end of the tag", 33),
        check("another box", token, Some(key), [0x23; 32], NOW_S),
        check("another box key", token, Some([0x12; 32]), owner, NOW_S),
        check("no such box", token, None, owner, NOW_S),
    ]
}

fn check_token(case: &Value) {
    let (nonce, period) = (bytes(case, "nonce"), number(case, "period") as u16);
    let (owner, period) = (bytes(case, "box"), period.to_be_bytes());
    let mac = label::mac(
        &bytes(case, "boxKey"),
        "box token",
        &[&owner, &nonce, &period],
    );
    let token = [&nonce[..], &period, &mac[..16]].concat();
    assert_eq!(token, bytes(case, "token"));
}

fn check_deposit(case: &Value) {
    let key = case["boxKey"].is_string().then(|| array(case, "boxKey"));
    let key = key.map(|key| BoxKey::new(Secret::new(key)));
    let token = DepositToken::from_bytes(&bytes(case, "token")).unwrap();
    let owner = PeerId::from_bytes(array(case, "box"));
    let verifier = TokenVerifier::new(&mut common::rng());
    let verified = verifier.verify(&owner, key.as_ref(), &token, number(case, "now"));
    assert_eq!(Some(verified.is_ok()), case["valid"].as_bool(), "{case}");
}

// ---- One-time keys ----

#[test]
fn one_time_key_vectors() {
    let stored = load_exact("one_time_key.json", generate_keys);
    for case in list(&stored, "cases") {
        under_every_provider(|provider| check_key(case, provider));
    }
    for case in list(&stored, "refusedPublicKeys") {
        let parsed = OneTimePublicKey::from_bytes(&bytes(case, "publicKey"));
        assert_eq!(parsed, Err(KeyError::Encoding), "{}", text(case, "why"));
    }
    for point in list(&stored, "refusedEphemeralKeys") {
        under_every_provider(|provider| {
            let case = &list(&stored, "cases")[0];
            let key = seed_of(case).key(provider).unwrap();
            let mut ciphertext = bytes(case, "ciphertext");
            ciphertext[..32].copy_from_slice(&common::vectors::unhex(point));
            let ciphertext = OneTimeCiphertext::from_bytes(&ciphertext).unwrap();
            assert_eq!(key.decapsulate(&ciphertext), Err(KeyError::Encoding));
        });
    }
}

/// Points of order 1, 2, 4 and 8, reduced and not.
const LOW_ORDER: [&str; 7] = [
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
    "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
];

fn generate_keys() -> Value {
    let rng = &mut FixedRng::new("one-time key");
    let cases: Vec<Value> = (0..2).map(|_| key_case(rng)).collect();
    let public = bytes(&cases[0], "publicKey");
    let refused = |why: &str, key: &[u8]| json!({ "why": why, "publicKey": hex(key) });
    let mut low_order = public.clone();
    low_order[..32].fill(0);
    let mut not_reduced = public.clone();
    not_reduced[32] = 0x01;
    not_reduced[33] = not_reduced[33] & 0xf0 | 0x0d;
    json!({
        "about": "docs/spec/letter.md, one-time keys; randomness is X25519 private key, then input of ML-KEM",
        "cases": cases,
        "refusedPublicKeys": [
            refused("X25519 point of low order", &low_order),
            refused("a coefficient of 3,329", &not_reduced),
            refused("too short", &public[1..]),
            refused("too long", &[&public[..], &[0]].concat()),
        ],
        "refusedEphemeralKeys": LOW_ORDER,
    })
}

fn key_case(rng: &mut FixedRng) -> Value {
    let seed = OneTimeSeed::random(rng);
    let key = seed.key(&RustCrypto).unwrap();
    let (ciphertext, secrets) = key.public().encapsulate(rng).unwrap();
    json!({
        "seed": hex(seed.expose()),
        "publicKey": hex(key.public().to_bytes()),
        "ciphertext": hex(ciphertext.to_bytes()),
        "x25519Secret": hex(secrets.x25519.expose()),
        "kemSecret": hex(secrets.kem.expose()),
    })
}

fn seed_of(case: &Value) -> OneTimeSeed {
    OneTimeSeed::new(Secret::new(array(case, "seed")))
}

fn check_key(case: &Value, provider: &dyn Provider) {
    let key = seed_of(case).key(provider).unwrap();
    let public = bytes(case, "publicKey");
    assert_eq!(key.public().to_bytes(), public);
    assert_eq!(
        OneTimePublicKey::from_bytes(&public).as_ref(),
        Ok(key.public())
    );
    let ciphertext = OneTimeCiphertext::from_bytes(&bytes(case, "ciphertext")).unwrap();
    let secrets = key.decapsulate(&ciphertext).unwrap();
    assert_eq!(secrets.x25519.expose(), &array(case, "x25519Secret"));
    assert_eq!(secrets.kem.expose(), &array(case, "kemSecret"));
}

// ---- Letters ----

#[test]
fn letter_vectors() {
    let stored = load("letter.json", generate_letters);
    under_every_provider(|provider| {
        for case in list(&stored, "cases") {
            check_letter(case, provider);
        }
        let case = &list(&stored, "cases")[0];
        for refusal in list(&stored, "refusals") {
            check_refusal(case, refusal, provider);
        }
    });
}

fn generate_letters() -> Value {
    let rng = &mut FixedRng::new("sealed letter");
    let cases: Vec<Value> = [&b"good evening"[..], &[3; 1_900]]
        .into_iter()
        .map(|payload| letter_case(rng, payload))
        .collect();
    json!({
        "about": "docs/spec/letter.md; the identities are identities/*.pem in the public circle",
        "cases": cases,
        "refusals": refusals(),
    })
}

fn letter_case(rng: &mut FixedRng, payload: &[u8]) -> Value {
    let (alice, bob) = (
        Peer::named("alice", &RustCrypto),
        Peer::named("bob", &RustCrypto),
    );
    let (seed, nonce) = (OneTimeSeed::random(rng), DepositNonce::random(rng));
    let secret = LetterSecret::new([0x5e; 8], Secret::random(rng));
    let key = seed.key(&RustCrypto).unwrap();
    let header = LetterHeader {
        sender: alice.id,
        incarnation: INCARNATION,
        created_s: NOW_S,
        oldest: 5,
        message_id: [9; 16],
    };
    let recipient = Recipient {
        certificate: bob.identity.certificate(),
        peer_id: &bob.id,
        nonce: &nonce,
        key: key.public(),
        secret: &secret,
    };
    let letter = recipient
        .seal(rng, &alice.identity, &header, payload)
        .unwrap();
    let place = Place {
        receiver: bob.id,
        nonce: *nonce.as_bytes(),
    };
    let wrapped = bob
        .identity
        .unwrap(rng, &place.wrap_label(), &letter[..512])
        .unwrap();
    let one_time = OneTimeCiphertext::from_bytes(&letter[512..HEAD]).unwrap();
    let one_time = key.decapsulate(&one_time).unwrap();
    let (x25519, kem) = (one_time.x25519.expose(), one_time.kem.expose());
    let public = key.public().to_bytes();
    let keys = place.keys(
        [&wrapped, x25519, kem, secret.expose()],
        &public,
        &letter[..HEAD],
    );
    json!({
        "sender": "alice",
        "receiver": "bob",
        "box": hex(bob.id.as_bytes()),
        "nonce": hex(nonce.as_bytes()),
        "oneTimeSeed": hex(seed.expose()),
        "letterSecret": hex(secret.expose()),
        "incarnation": header.incarnation.to_string(),
        "created": header.created_s,
        "oldest": header.oldest,
        "messageId": hex(header.message_id),
        "payload": hex(payload),
        "wrappedSecret": hex(&wrapped[..]),
        "x25519Secret": hex(x25519),
        "kemSecret": hex(kem),
        "salt": hex(place.salt(&public, &letter[..HEAD])),
        "cipherKey": hex(keys.enc),
        "iv": hex(keys.iv),
        "macKey": hex(keys.mac),
        "signature": hex(&place.decrypt(&keys, &letter)[SIGNATURE_AT..LENGTH_AT]),
        "letter": hex(&letter),
    })
}

/// Alterations of the first case, after each of which the letter must not open.
fn refusals() -> Value {
    let flip = |field: &str, at: usize, bits: u8| json!({ "why": "flipped bits", "field": field, "at": at, "xor": bits });
    let replaced = |why: &str, with: Value| {
        let mut refusal = with;
        refusal["why"] = why.into();
        refusal
    };
    json!([
        flip("wrapped secret", 0, 1),
        flip("wrapped secret", 511, 1),
        flip("ephemeral key", 512, 1),
        flip("ephemeral key", 543, 0x80),
        flip("ciphertext of ML-KEM", 544, 1),
        flip("ciphertext of ML-KEM", 1_631, 1),
        flip("ciphertext", 1_632, 1),
        flip("ciphertext", 4_063, 1),
        flip("tag", 4_064, 1),
        flip("tag", 4_095, 1),
        replaced("wrong box", json!({ "box": hex([7; 32]) })),
        replaced("other identity", json!({ "receiver": "carol" })),
        replaced("swapped nonce", json!({ "nonce": hex([7; 16]) })),
        replaced("other one-time key", json!({ "oneTimeSeed": hex([7; 96]) })),
        replaced(
            "other letter secret",
            json!({ "letterSecret": hex([7; 32]) })
        ),
        replaced("other contact", json!({ "sender": "carol" })),
        replaced("too short", json!({ "size": 4_095 })),
        replaced("unknown size", json!({ "size": 6_144 })),
        replaced("zeros", json!({ "junk": 0 })),
        replaced("ones", json!({ "junk": 255 })),
        replaced(
            "ephemeral key of low order",
            json!({ "ephemeralKey": hex([0; 32]) })
        ),
    ])
}

fn header_of(case: &Value, sender: PeerId) -> LetterHeader {
    LetterHeader {
        sender,
        incarnation: number(case, "incarnation"),
        created_s: number(case, "created"),
        oldest: number(case, "oldest"),
        message_id: array(case, "messageId"),
    }
}

fn check_letter(case: &Value, provider: &dyn Provider) {
    let alice = Peer::named(text(case, "sender"), provider);
    let bob = Peer::named(text(case, "receiver"), provider);
    let (letter, payload) = (bytes(case, "letter"), bytes(case, "payload"));
    let header = header_of(case, alice.id);
    let place = Place {
        receiver: PeerId::from_bytes(array(case, "box")),
        nonce: array(case, "nonce"),
    };
    let key = OneTimeSeed::new(Secret::new(array(case, "oneTimeSeed")))
        .key(provider)
        .unwrap();
    let public = key.public().to_bytes();

    // By the second implementation, as specified.
    let head = &letter[..HEAD];
    let label = place.wrap_label();
    let wrapped = bob
        .identity
        .unwrap(&mut common::rng(), &label, &head[..512])
        .unwrap();
    assert_eq!(wrapped.to_vec(), bytes(case, "wrappedSecret"));
    let secrets = ["wrappedSecret", "x25519Secret", "kemSecret", "letterSecret"];
    let secrets = secrets.map(|name| bytes(case, name));
    let keys = place.keys(secrets.each_ref().map(Vec::as_slice), &public, head);
    assert_eq!(place.salt(&public, head), array(case, "salt"));
    assert_eq!(keys.enc, array(case, "cipherKey"));
    assert_eq!(keys.iv, array(case, "iv"));
    assert_eq!(keys.mac, array(case, "macKey"));
    let (fields, signature) = (fields(2, &header), bytes(case, "signature"));
    let again = inside(&fields, &signature, &payload, letter.len());
    assert_eq!(place.encrypt(&keys, head, &again), letter);
    let certificate = alice.identity.certificate();
    certificate
        .verify(&place.signed(head, &fields), &signature)
        .unwrap();

    // By the crate's own implementation.
    let opened = open(case, &letter, provider).unwrap();
    assert_eq!(opened.header, header);
    assert_eq!(opened.payload.to_vec(), payload);
}

/// Opens a letter with the keys and names of a case.
fn open(
    case: &Value,
    letter: &[u8],
    provider: &dyn Provider,
) -> Result<m2_crypto::letter::OpenedLetter, OpenFailed> {
    let sender = Peer::named(text(case, "sender"), provider);
    let receiver = Peer::named(text(case, "receiver"), provider);
    let seed = OneTimeSeed::new(Secret::new(array(case, "oneTimeSeed")));
    let secret = LetterSecret::new([0; 8], Secret::new(array(case, "letterSecret")));
    let opener = Opener {
        identity: &receiver.identity,
        peer_id: &PeerId::from_bytes(array(case, "box")),
        nonce: &DepositNonce::from_bytes(array(case, "nonce")),
        key: &seed.key(provider).unwrap(),
        secrets: &[&secret],
        sender: &sender.id,
        certificate: sender.identity.certificate(),
    };
    opener.open(&mut common::rng(), letter)
}

fn check_refusal(case: &Value, refusal: &Value, provider: &dyn Provider) {
    let (mut case, mut letter) = (case.clone(), bytes(case, "letter"));
    for (name, value) in refusal.as_object().unwrap() {
        match name.as_str() {
            "why" | "field" | "xor" => {}
            "at" => letter[number(refusal, name) as usize] ^= number(refusal, "xor") as u8,
            "size" => letter.resize(number(refusal, name) as usize, 0),
            "junk" => letter.fill(number(refusal, name) as u8),
            "ephemeralKey" => letter[512..544].copy_from_slice(&bytes(refusal, name)),
            _ => case[name] = value.clone(),
        }
    }
    assert_eq!(open(&case, &letter, provider), Err(OpenFailed), "{refusal}");
}
