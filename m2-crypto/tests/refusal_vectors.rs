//! Input that must be refused: certificates, handshake messages, grants, sealed messages, presence
//! records and first packets. `M2_WRITE_VECTORS=1` regenerates the file.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod common;

use common::vectors::{array, bytes, hex, list, load_exact, number, text};
use common::{NOW_S, Peer, vectors_dir};
use m2_crypto::envelope::{EpochSecret, GrantRefused, ReceiveEpoch};
use m2_crypto::handshake::hello::Hello;
use m2_crypto::handshake::hello_reply::HelloReply;
use m2_crypto::handshake::key_return::KeyReturn;
use m2_crypto::handshake::proof::{Proof, Role};
use m2_crypto::handshake::{HandshakeError, MessageReader, PeerMisbehaved};
use m2_crypto::initial::{InitialKeys, opens_initial};
use m2_crypto::presence::Record;
use m2_crypto::provider::{self, Provider};
use m2_crypto::{Certificate, Circle, CircleId, PeerId, Secret};
use rsa::pkcs8::{DecodePublicKey as _, EncodePublicKey as _};
use rsa::traits::PublicKeyParts as _;
use rsa::{BoxedUint, RsaPublicKey};
use serde_json::{Value, json};
use std::sync::LazyLock;

static STORED: LazyLock<Value> = LazyLock::new(|| {
    load_exact("refusals.json", || {
        json!({
            "about": "what must be refused; see README.md",
            "certificates": certificates(),
            "handshakeMessages": messages(),
            "grants": grants(),
            "sealedMessages": sealed(),
            "recordContents": records(),
            "firstPackets": first_packets(),
        })
    })
});

fn file(name: &str) -> Value {
    let text = std::fs::read_to_string(vectors_dir().join(name)).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// Returns `base` after the alteration that a case describes.
fn altered(base: &[u8], case: &Value) -> Vec<u8> {
    let mut altered = base.to_vec();
    if !case["at"].is_null() {
        altered[number(case, "at") as usize] ^= number(case, "xor") as u8;
    }
    if !case["size"].is_null() {
        altered.resize(number(case, "size") as usize, 0);
    }
    altered
}

fn flip(why: &str, at: usize, xor: u8) -> Value {
    json!({ "why": why, "at": at, "xor": xor })
}

fn size(why: &str, size: usize) -> Value {
    json!({ "why": why, "size": size })
}

fn spki(name: &str) -> Vec<u8> {
    let peer = Peer::named(name, provider::default());
    peer.identity.certificate().spki_der().to_vec()
}

// ---- Certificates ----

fn certificates() -> Vec<Value> {
    let good = spki("alice");
    let key = RsaPublicKey::from_public_key_der(&good).unwrap();
    let encoded = |n: &[u8], e: u32| {
        let n = BoxedUint::from_be_slice(n, 8 * n.len() as u32).unwrap();
        let key = RsaPublicKey::new_unchecked(n, BoxedUint::from(e));
        key.to_public_key_der().unwrap().into_vec()
    };
    let modulus = key.n_bytes().to_vec();
    let changed = |at: usize, change: fn(u8) -> u8| {
        let mut modulus = modulus.clone();
        modulus[at] = change(modulus[at]);
        modulus
    };
    // SEQUENCE { SEQUENCE { OID, NULL }, BIT STRING { SEQUENCE { modulus, exponent } } }
    let without_null = [
        &[0x30, 0x82, 0x02, 0x20, 0x30, 0x0b][..],
        &good[6..17],
        &good[19..],
    ];
    let mut long_exponent = good[..545].to_vec();
    long_exponent.extend([0x02, 0x04, 0x00, 0x01, 0x00, 0x01]);
    for at in [3, 22, 27] {
        long_exponent[at] += 1;
    }
    let mut even = good.clone();
    even[544] &= 0xfe;
    let case = |why: &str, spki: &[u8]| json!({ "why": why, "spki": hex(spki) });
    vec![
        case("exponent 3", &encoded(&modulus, 3)),
        case("exponent 65539", &encoded(&modulus, 65_539)),
        case(
            "modulus of 4095 bits",
            &encoded(&changed(0, |byte| byte & 0x7f | 0x40), 65_537),
        ),
        case("modulus of 2048 bits", &encoded(&modulus[..256], 65_537)),
        case("even modulus", &even),
        case("no NULL parameters", &without_null.concat()),
        case("exponent with a leading zero byte", &long_exponent),
        case("a byte after it", &[&good[..], &[0]].concat()),
        case("truncated", &good[..549]),
        case("the key alone (PKCS#1)", &good[24..]),
    ]
}

#[test]
fn certificates_are_refused() {
    assert!(Certificate::from_spki_der(&spki("alice")).is_ok());
    for case in list(&STORED, "certificates") {
        let refused = Certificate::from_spki_der(&bytes(case, "spki"));
        assert!(refused.is_err(), "{case}");
    }
}

// ---- Handshake ----

/// The framing of a message around another body.
fn framed(kind: u8, body: &[u8]) -> Vec<u8> {
    [&[kind][..], &(body.len() as u16).to_be_bytes(), body].concat()
}

fn recorded() -> Vec<Vec<u8>> {
    let file = file("handshake.json");
    let messages = file["cases"][0]["messages"].as_array().unwrap().iter();
    messages.map(common::vectors::unhex).collect()
}

fn case(why: &str, message: Vec<u8>, error: &str) -> Value {
    json!({ "why": why, "message": hex(message), "error": error })
}

fn malformed(why: &str, message: Vec<u8>) -> Value {
    case(why, message, "malformed")
}

fn key(why: &str, message: Vec<u8>) -> Value {
    case(why, message, "bad key")
}

/// Returns a message with another byte.
fn with(message: &[u8], at: usize, change: fn(u8) -> u8) -> Vec<u8> {
    let mut message = message.to_vec();
    message[at] = change(message[at]);
    message
}

fn messages() -> Vec<Value> {
    [hellos(&recorded()[0]), later_messages(&recorded())].concat()
}

fn hellos(hello: &[u8]) -> Vec<Value> {
    let body = &hello[3..];
    let (random, offer, transport) = (&body[..32], &body[33..1_477], &body[1_477..]);
    let offers = |count: u8, offers: &[&[u8]]| {
        framed(1, &[random, &[count], &offers.concat(), transport].concat())
    };
    let unknown = [0, 9, 0, 2, 1, 1];
    let long_transport = [random, &[1], offer, &[2, 1], &[0; 513]].concat();
    // The first coefficient of the ML-KEM key becomes 3,329.
    let mut coefficient = with(hello, 40 + 256, |_| 0x01);
    coefficient[40 + 257] = coefficient[40 + 257] & 0xf0 | 0x0d;
    vec![
        malformed("Hello without an offer", offers(0, &[])),
        malformed("Hello with one suite twice", offers(2, &[offer, offer])),
        malformed("Hello with 17 offers", offers(17, &[&unknown[..]; 17])),
        malformed(
            "Hello with a byte after it",
            framed(1, &[body, &[0]].concat()),
        ),
        malformed(
            "Hello that is truncated",
            framed(1, &body[..body.len() - 1]),
        ),
        malformed(
            "Hello with 513 bytes of parameters",
            framed(1, &long_transport),
        ),
        malformed(
            "Hello with a share of 2 bytes",
            offers(1, &[&[0, 2, 0, 2, 1, 1]]),
        ),
        case(
            "Hello with unknown suites alone",
            offers(1, &[&unknown]),
            "no suite",
        ),
        key(
            "Hello with an even modulus",
            with(hello, 40 + 255, |byte| byte & 0xfe),
        ),
        key(
            "Hello with a modulus of 2047 bits",
            with(hello, 40, |byte| byte & 0x7f),
        ),
        key("Hello with a coefficient of 3,329", coefficient),
    ]
}

/// Alterations of the other messages.
fn later_messages(recorded: &[Vec<u8>]) -> Vec<Value> {
    let [_, reply, key_return, proof, own_proof] = recorded else {
        panic!("five messages");
    };
    vec![
        case(
            "HelloReply with suite 1",
            with(reply, 4, |_| 1),
            "other suite",
        ),
        malformed(
            "HelloReply with a byte after it",
            framed(2, &[&reply[3..], &[0]].concat()),
        ),
        key(
            "HelloReply with an even modulus",
            with(reply, 3 + 34 + 255, |byte| byte & 0xfe),
        ),
        malformed(
            "KeyReturn that is truncated",
            framed(3, &key_return[3..1_346]),
        ),
        malformed(
            "KeyReturn with a byte after it",
            framed(3, &[&key_return[3..], &[0]].concat()),
        ),
        malformed("Proof of another kind", with(proof, 3, |_| 2)),
        malformed(
            "Proof with a byte after it",
            framed(4, &[&proof[3..], &[0]].concat()),
        ),
        malformed("anonymous Proof with a byte after it", framed(5, &[0, 0])),
        malformed("Proof without a signature", framed(5, &own_proof[3..556])),
        malformed("empty Proof", framed(5, &[])),
        malformed("type 6", framed(6, &[0])),
        case(
            "a length of 4,097",
            [&[1, 0x10, 0x01][..], &[0; 4_097]].concat(),
            "too long",
        ),
    ]
}

/// Parses a message, and the keys in it.
fn parse(message: &[u8]) -> Result<(), HandshakeError> {
    let message = MessageReader::new().push(message)?;
    let message = message.ok_or(PeerMisbehaved::Malformed)?;
    match message.bytes()[0] {
        1 => Hello::parse(&message).map(|_| ()),
        2 => Ok(HelloReply::parse(&message).map(|_| ())?),
        3 => Ok(KeyReturn::parse(&message).map(|_| ())?),
        4 => Ok(Proof::parse(Role::Responder, &message).map(|_| ())?),
        _ => Ok(Proof::parse(Role::Initiator, &message).map(|_| ())?),
    }
}

#[test]
fn handshake_messages_are_refused() {
    for message in recorded() {
        parse(&message).unwrap();
    }
    for case in list(&STORED, "handshakeMessages") {
        let expected: HandshakeError = match text(case, "error") {
            "malformed" => PeerMisbehaved::Malformed.into(),
            "bad key" => PeerMisbehaved::BadKey.into(),
            "other suite" => PeerMisbehaved::SuiteNotOffered.into(),
            "too long" => PeerMisbehaved::TooLong.into(),
            _ => HandshakeError::NoCommonSuite,
        };
        assert_eq!(
            parse(&bytes(case, "message")),
            Err(expected),
            "{}",
            case["why"]
        );
    }
}

// ---- Level 1 ----

fn grants() -> Vec<Value> {
    let refused = |mut case: Value, misdeed: bool| {
        case["misdeed"] = misdeed.into();
        case
    };
    let at = |why: &str, now: u64| json!({ "why": why, "now": now });
    vec![
        refused(flip("version", 0, 1), true),
        refused(flip("kind", 1, 2), true),
        refused(size("truncated", 1_157), true),
        refused(size("a byte after it", 1_159), true),
        refused(flip("another sender", 2, 1), true),
        refused(flip("another receiver", 34, 1), true),
        refused(flip("another session", 90, 1), true),
        refused(flip("a step 2^24 ahead", 98, 1), true),
        refused(flip("another receiver key", 102, 1), true),
        refused(flip("altered incarnation", 66, 1), true),
        refused(flip("altered epoch", 81, 1), true),
        refused(flip("altered wrapped key", 134, 1), true),
        refused(flip("altered signature", 646, 1), true),
        refused(at("older than 15 days", NOW_S + 15 * 86_400 + 1), false),
        refused(at("more than a day ahead", NOW_S - 86_401), false),
    ]
}

/// The receiver of `envelope.json` with its session, before the first grant.
fn receiver(provider: &dyn Provider) -> (Value, Peer, Peer, EpochSecret) {
    let base = file("envelope.json");
    let (name, secret) = (array(&base, "sessionName"), array(&base, "epochSecret"));
    let session = EpochSecret::new(name, Secret::new(secret));
    let [alice, bob] = ["alice", "bob"].map(|name| Peer::named(name, provider));
    (base, alice, bob, session)
}

#[test]
fn grants_are_refused() {
    for provider in provider::all() {
        let (base, alice, bob, _) = receiver(*provider);
        for case in list(&STORED, "grants") {
            let (.., mut session) = receiver(*provider);
            let grant = altered(&bytes(&base, "grant"), case);
            let now = case["now"].as_u64().unwrap_or(NOW_S);
            let ends = bob.ends(&alice);
            let accepted =
                ReceiveEpoch::accept(&mut common::rng(), &ends, &mut session, &grant, now);
            let error = accepted.err().unwrap_or_else(|| panic!("{case}"));
            let innocent = matches!(error, GrantRefused::TooOld | GrantRefused::FromTheFuture);
            assert_eq!(case["misdeed"], !innocent, "{case}: {error:?}");
        }
    }
}

fn sealed() -> Vec<Value> {
    vec![
        flip("version", 0, 1),
        flip("incarnation", 1, 1),
        flip("epoch", 16, 1),
        flip("index", 20, 1),
        flip("index of 1,024", 19, 4),
        flip("message id", 21, 1),
        flip("ciphertext", 37, 1),
        flip("tag", 68, 1),
        size("truncated", 68),
        size("a byte after it", 70),
        size("no ciphertext", 37),
        size("empty", 0),
    ]
}

#[test]
fn sealed_messages_are_refused() {
    for provider in provider::all() {
        let (base, alice, bob, mut session) = receiver(*provider);
        let grant = bytes(&base, "grant");
        let mut epoch = bob.accept_in(&mut session, &alice, &grant).unwrap();
        // The first message is empty: one block.
        let good = bytes(&base["messages"][0], "sealed");
        assert_eq!(good.len(), 85);
        for case in list(&STORED, "sealedMessages") {
            assert!(epoch.open(&altered(&good, case)).is_err(), "{case}");
        }
        epoch.open(&good).unwrap();
    }
}

// ---- Presence records ----

fn records() -> Vec<Value> {
    // Version, time, 2 addresses of 7 and 19 bytes, and 1 line with the same addresses.
    vec![
        flip("version", 0, 3),
        flip("5 addresses", 9, 7),
        flip("an address of kind 5", 10, 1),
        json!({ "why": "port 0", "port": 15 }),
        flip("7 lines", 36, 6),
        flip("a line without addresses", 85, 2),
        flip("a line with 3 addresses", 85, 1),
        flip("a byte of padding", 112, 1),
        flip("the last byte of padding", 931, 1),
        size("truncated", 931),
        size("a byte after it", 933),
    ]
}

#[test]
fn contents_of_records_are_refused() {
    let base = file("presence.json");
    let good = bytes(&base["records"][0], "content");
    Record::from_content(&good).unwrap();
    for case in list(&STORED, "recordContents") {
        let mut content = altered(&good, case);
        if let Some(at) = case["port"].as_u64() {
            content[at as usize..][..2].fill(0);
        }
        assert!(Record::from_content(&content).is_err(), "{case}");
    }
}

// ---- First packets ----

fn first_packets() -> Vec<Value> {
    let base = &file("initial.json")["cases"][0];
    let protected = |why: &str, change: fn(&mut [u8])| {
        let mut header = bytes(base, "header");
        change(&mut header);
        json!({ "why": why, "datagram": hex(seal(base, &header)) })
    };
    vec![
        flip("a short header", 0, 0x80),
        flip("no fixed bit", 0, 0x40),
        flip("a Handshake packet", 0, 0x20),
        flip("another version", 4, 1),
        flip("another destination id", 6, 1),
        flip("another day", 25, 1),
        flip("a longer token", 27, 1),
        flip("altered contents", 600, 1),
        flip("altered tag", 1_190, 1),
        size("truncated", 1_190),
        protected("a reserved bit", |header| header[0] |= 0x04),
        protected("the other reserved bit", |header| header[0] |= 0x08),
        protected("a length of 19", |header| {
            header[28..30].copy_from_slice(&[0x40, 19])
        }),
        protected("a length beyond the datagram", |header| header[28] = 0x7f),
    ]
}

/// Seals the payload of a first packet under another header.
fn seal(base: &Value, header: &[u8]) -> Vec<u8> {
    let keys = keys(base, provider::default());
    let mut payload = bytes(base, "payload");
    let tag = keys.client.packet.seal(0, header, &mut payload);
    let mut packet = [header, &payload, &tag].concat();
    let number_at = number(base, "numberAt") as usize;
    keys.client.header.protect(number_at, &mut packet);
    packet
}

fn keys(base: &Value, provider: &dyn Provider) -> InitialKeys {
    let circle = bytes(base, "circleId");
    let home = Circle::private("home", &Secret::new([0x17; 32]));
    assert_eq!(home.id().as_bytes()[..], circle);
    let circle: &CircleId = home.id();
    let responder = PeerId::from_bytes(array(base, "responderPeerId"));
    let day = number(base, "day") as u32;
    InitialKeys::derive(circle, &bytes(base, "dcid"), &responder, day, provider)
}

#[test]
fn first_packets_are_refused() {
    let file = file("initial.json");
    let base = &file["cases"][0];
    let good = bytes(base, "datagram");
    assert_eq!(seal(base, &bytes(base, "header")), good);
    for provider in provider::all() {
        // The keys are those of the unaltered id and day.
        let keys = keys(base, *provider);
        assert!(opens_initial(&keys, &good));
        for case in list(&STORED, "firstPackets") {
            let datagram = match case["datagram"] {
                Value::Null => altered(&good, case),
                _ => bytes(case, "datagram"),
            };
            assert!(!opens_initial(&keys, &datagram), "{case}");
        }
    }
}
