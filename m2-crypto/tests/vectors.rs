//! The fixed vectors of everything but the session: conventions, identity, envelopes, letters.
//! `M2_WRITE_VECTORS=1` writes them anew.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod common;

use common::reference::{self, Keys};
use common::vectors::{FixedRng, array, bytes, hex, list, load, load_exact, number, text, unhex};
use common::{NOW_S, Peer};
use m2_crypto::envelope::{
    EpochHeader, Letter, ReceiveEpoch, SealedHeader, SendEpoch, content_hash,
};
use m2_crypto::invitation::{Invitation, InvitationError, InviteId, Offer, proof, verify_proof};
use m2_crypto::provider::rustcrypto::RustCrypto;
use m2_crypto::verification::VerificationCode;
use m2_crypto::{Circle, OpenFailed, PeerId, Provider, Secret, label, provider};
use serde_json::{Value, json};

// ---- Conventions ----

#[test]
fn label_vectors() {
    load_exact("label.json", || {
        let cases: [(&str, &[&[u8]]); 5] = [
            ("test", &[]),
            ("test", &[b""]),
            ("test", &[b"ab", b"c"]),
            ("test", &[b"a", b"bc"]),
            ("longer purpose", &[&[0xff; 300]]),
        ];
        let key = [0x0b; 20];
        let cases = cases.map(|(purpose, fields)| {
            json!({
                "purpose": purpose,
                "fields": fields.iter().map(hex).collect::<Vec<_>>(),
                "encoded": hex(label::encode(purpose, fields)),
                "sha256": hex(label::hash(purpose, fields)),
                "hmacKey": hex(key),
                "hmac": hex(label::mac(&key, purpose, fields)),
                "hkdfKey": hex(key),
                "hkdfSalt": hex(b"salt"),
                "hkdf64": hex(label::derive::<64>(&key, b"salt", purpose, fields).expose()),
            })
        });
        json!({ "about": "docs/spec/conventions.md, labels", "cases": cases })
    });
}

fn home() -> Circle {
    Circle::private("home", &Secret::new([0x42; 32]))
}

#[test]
fn circle_vectors() {
    load_exact("circle.json", || {
        let case = |name: &str, secret: Option<[u8; 32]>, circle: Circle| {
            json!({
                "name": name,
                "secret": secret.map(hex),
                "id": hex(circle.id().as_bytes()),
                "packetKey": hex(circle.packet_key().expose()),
            })
        };
        let nameless = Circle::private("", &Secret::new([0; 32]));
        json!({ "about": "docs/spec/conventions.md, circles; a null secret is the public circle",
            "cases": [
                case("public", None, Circle::public()),
                case("home", Some([0x42; 32]), home()),
                case("", Some([0; 32]), nameless),
            ] })
    });
}

#[test]
fn peer_id_vectors() {
    let stored = load_exact("peer_id.json", || {
        let mut cases = Vec::new();
        for circle in [Circle::public(), home()] {
            for name in ["alice", "bob", "carol"] {
                let identity = Peer::named(name, &RustCrypto).identity;
                let id = identity.peer_id(circle.id());
                cases.push(json!({
                    "identity": name,
                    "circleId": hex(circle.id().as_bytes()),
                    "spki": hex(identity.certificate().spki_der()),
                    "peerId": hex(id.as_bytes()),
                    "text": id.to_string(),
                }));
            }
        }
        json!({ "about": "docs/spec/identity.md, peer ids", "cases": cases, "refused": not_ids() })
    });
    for case in list(&stored, "cases") {
        let id: PeerId = text(case, "text").parse().unwrap();
        assert_eq!(id.as_bytes(), &array(case, "peerId"));
    }
    for refused in list(&stored, "refused") {
        assert!(refused.as_str().unwrap().parse::<PeerId>().is_err());
    }
}

fn not_ids() -> Vec<String> {
    let good = PeerId::from_bytes([0x5a; 32]).to_string();
    let mixed = good.replacen("m21", "M21", 1);
    let other_prefix = good.replacen("m21", "m31", 1);
    let shorter = good[..good.len() - 1].to_owned();
    vec![
        String::new(),
        "m21".to_owned(),
        mixed,
        other_prefix,
        shorter,
    ]
}

// ---- Identity ----

#[test]
fn verification_vectors() {
    load_exact("verification.json", || {
        let pairs = [
            ("alice", "bob"),
            ("bob", "alice"),
            ("alice", "carol"),
            ("bob", "bob"),
        ];
        let certificate = |name| {
            Peer::named(name, &RustCrypto)
                .identity
                .certificate()
                .clone()
        };
        let mut cases = Vec::new();
        for circle in [Circle::public(), home()] {
            for (one, other) in pairs {
                let code =
                    VerificationCode::of(circle.id(), &certificate(one), &certificate(other));
                cases.push(json!({
                    "circleId": hex(circle.id().as_bytes()),
                    "one": one,
                    "other": other,
                    "digits": code.digits(),
                    "shown": code.to_string(),
                }));
            }
        }
        json!({ "about": "docs/spec/identity.md, verification codes", "cases": cases })
    });
}

#[test]
fn invitation_vectors() {
    let stored = load_exact("invitation.json", || {
        json!({
            "about": "docs/spec/identity.md, invitations",
            "cases": offers().into_iter().map(invitation_case).collect::<Vec<_>>(),
            "malformed": malformed_invitations(),
            "unknownVersion": [invitation_text(&[2; 9])],
        })
    });
    for case in list(&stored, "cases") {
        check_invitation(case);
    }
    let error = |value: &Value| value.as_str().unwrap().parse::<Invitation>().unwrap_err();
    for refused in list(&stored, "malformed") {
        assert_eq!(error(refused), InvitationError::Malformed, "{refused}");
    }
    for refused in list(&stored, "unknownVersion") {
        assert_eq!(error(refused), InvitationError::UnknownVersion);
    }
}

fn offers() -> Vec<Offer> {
    let offer = |reusable, addresses: &[&str], lines: &[&[u8]]| Offer {
        reusable,
        expires_s: NOW_S,
        addresses: addresses.iter().map(|text| text.parse().unwrap()).collect(),
        lines: lines.iter().map(|line| line.to_vec()).collect(),
    };
    vec![
        offer(false, &[], &[]),
        offer(true, &["192.0.2.7:4242", "[2001:db8::7]:4242"], &[]),
        offer(
            false,
            &["127.0.0.1:1"; 8],
            &[&[1; 128], b"line", &[2; 1], &[3; 128], &[4], &[5]],
        ),
    ]
}

fn invitation_case(offer: Offer) -> Value {
    let alice = Peer::named("alice", &RustCrypto);
    let circle = Circle::public();
    let mut rng = FixedRng::new("invitation");
    let made = Invitation::create(&mut rng, alice.id, circle.id(), offer).unwrap();
    let exporter = Secret::new([0x77; 32]);
    json!({
        "peerId": hex(made.peer().as_bytes()),
        "circleId": hex(circle.id().as_bytes()),
        "token": hex(made.token().expose()),
        "rendezvous": hex(made.rendezvous().expose()),
        "reusable": made.reusable(),
        "expires": made.expires_s(),
        "addresses": made.addresses().iter().map(ToString::to_string).collect::<Vec<_>>(),
        "lines": made.lines().iter().map(hex).collect::<Vec<_>>(),
        "uri": *made.to_uri(),
        "inviteId": hex(made.id().as_bytes()),
        "exporter": hex(exporter.expose()),
        "proof": hex(proof(made.token(), &exporter)),
    })
}

fn check_invitation(case: &Value) {
    let read: Invitation = text(case, "uri").parse().unwrap();
    assert_eq!(read.peer().as_bytes(), &array(case, "peerId"));
    assert_eq!(read.token().expose(), &array(case, "token"));
    assert_eq!(read.rendezvous().expose(), &array(case, "rendezvous"));
    assert_eq!(read.expires_s(), number(case, "expires"));
    assert_eq!(Some(read.reusable()), case["reusable"].as_bool());
    let addresses: Vec<_> = list(case, "addresses")
        .iter()
        .map(|text| text.as_str().unwrap().parse().unwrap())
        .collect();
    assert_eq!(read.addresses(), addresses);
    let lines: Vec<_> = list(case, "lines").iter().map(unhex).collect();
    assert_eq!(read.lines(), lines);
    assert_eq!(read.id(), InviteId::from_bytes(array(case, "inviteId")));
    let exporter = Secret::new(array(case, "exporter"));
    assert!(verify_proof(read.token(), &exporter, &bytes(case, "proof")));
    assert_eq!(*read.to_uri(), text(case, "uri"));
}

/// A body with a right checksum, as text.
fn invitation_text(body: &[u8]) -> String {
    let sum = label::hash("invitation checksum", &[body]);
    let bytes = [body, &sum[..4]].concat();
    format!(
        "m2://{}",
        data_encoding::BASE32_NOPAD.encode(&bytes).to_lowercase()
    )
}

fn malformed_invitations() -> Vec<String> {
    let case = invitation_case(offers().remove(1));
    let uri = text(&case, "uri").to_owned();
    let bytes = data_encoding::BASE32_NOPAD
        .decode(uri[5..].to_uppercase().as_bytes())
        .unwrap();
    let body = &bytes[..bytes.len() - 4];
    let spoil = |at: usize, byte: u8| {
        let mut body = body.to_vec();
        body[at] = byte;
        invitation_text(&body)
    };
    vec![
        String::new(),
        "m2://".to_owned(),
        uri.replacen("m2", "m3", 1),
        uri[..uri.len() - 1].to_owned(),
        format!("{uri}a"),
        invitation_text(&[]),
        invitation_text(&body[..body.len() - 1]),
        invitation_text(&[body, &[0]].concat()),
        spoil(1, 2),
        spoil(98, 9),
        spoil(99, 5),
        invitation_text(&[&body[..body.len() - 28], &[1, 4, 1, 2, 3, 4, 0, 0, 0]].concat()),
    ]
}

// ---- Level 1 ----

fn under_every_provider(check: impl Fn(&dyn Provider)) {
    for provider in provider::all() {
        check(*provider);
    }
}

fn header_json(header: &EpochHeader) -> Value {
    json!({
        "sender": hex(header.sender.as_bytes()),
        "receiver": hex(header.receiver.as_bytes()),
        // As text: 53 bits do not suffice.
        "incarnation": header.incarnation.to_string(),
        "epoch": header.epoch.to_string(),
        "created": header.created_s,
    })
}

fn header_of(value: &Value) -> EpochHeader {
    EpochHeader {
        sender: PeerId::from_bytes(array(value, "sender")),
        receiver: PeerId::from_bytes(array(value, "receiver")),
        incarnation: number(value, "incarnation"),
        epoch: number(value, "epoch"),
        created_s: number(value, "created"),
    }
}

const TEXTS: [&[u8]; 5] = [b"", b"good morning", &[0; 15], &[1; 16], &[2; 1000]];

#[test]
fn envelope_vectors() {
    let stored = load("envelope.json", generate_envelopes);
    under_every_provider(|provider| check_envelopes(&stored, provider));
}

fn generate_envelopes() -> Value {
    let rng = &mut FixedRng::new("envelope");
    let (alice, bob) = (
        Peer::named("alice", &RustCrypto),
        Peer::named("bob", &RustCrypto),
    );
    let header = alice.header(&bob, 5);
    let certificate = bob.identity.certificate();
    let mut send = SendEpoch::open(rng, &alice.identity, certificate, header).unwrap();
    let grant = send.grant().to_vec();
    let label = reference::wrap_label(1, &header);
    let content_key = bob.identity.unwrap(rng, &label, &grant[122..634]).unwrap();
    let root = reference::chain_root(&content_key, &grant);
    let mut receive = bob.accept(&alice, &grant).unwrap();
    let fresh = receive.to_bytes();
    let mut chain = root;
    let messages: Vec<Value> = (0..TEXTS.len())
        .map(|index| message_case(&mut send, &mut chain, index))
        .collect();
    for opened in [0, 3] {
        receive.open(&bytes(&messages[opened], "sealed")).unwrap();
    }
    json!({
        "about": "docs/spec/envelope.md; the identities are identities/*.pem in the public circle",
        "sender": "alice",
        "receiver": "bob",
        "now": NOW_S,
        "header": header_json(&header),
        "contentKey": hex(&content_key[..]),
        "grant": hex(&grant),
        "chainRoot": hex(root),
        "messages": messages,
        "sendState": hex(&send.to_bytes()[..]),
        "receiveStateFresh": hex(&fresh[..]),
        "receiveStateAfter0And3": hex(&receive.to_bytes()[..]),
    })
}

fn message_case(send: &mut SendEpoch, chain: &mut [u8; 32], index: usize) -> Value {
    let (plaintext, id) = (TEXTS[index], [index as u8 + 1; 16]);
    let (next, seed) = reference::chain_step(chain);
    let keys = Keys::of_message(&seed);
    let case = json!({
        "index": index,
        "messageId": hex(id),
        "plaintext": hex(plaintext),
        "chainKey": hex(*chain),
        "seed": hex(seed),
        "encKey": hex(keys.enc),
        "iv": hex(keys.iv),
        "macKey": hex(keys.mac),
        "sealed": hex(send.seal(&id, plaintext).unwrap()),
        "contentHash": hex(content_hash(&id, plaintext)),
    });
    *chain = next;
    case
}

fn check_envelopes(stored: &Value, provider: &dyn Provider) {
    let alice = Peer::named(text(stored, "sender"), provider);
    let bob = Peer::named(text(stored, "receiver"), provider);
    let header = header_of(&stored["header"]);
    let grant = bytes(stored, "grant");
    let label = reference::wrap_label(1, &header);
    let rng = &mut common::rng();
    let key = bob.identity.unwrap(rng, &label, &grant[122..634]).unwrap();
    assert_eq!(key.to_vec(), bytes(stored, "contentKey"));
    let mut chain = reference::chain_root(&key, &grant);
    assert_eq!(chain, array::<32>(stored, "chainRoot"));

    let mut receive = bob.accept(&alice, &grant).unwrap();
    assert_eq!(receive.header(), &header);
    assert_eq!(
        receive.to_bytes().to_vec(),
        bytes(stored, "receiveStateFresh")
    );
    for case in list(stored, "messages") {
        check_message(case, &header, &mut chain, &mut receive);
    }
    check_states(stored);
}

/// The epoch, the second writing of it and the vector agree.
fn check_message(
    case: &Value,
    header: &EpochHeader,
    chain: &mut [u8; 32],
    receive: &mut ReceiveEpoch,
) {
    let (sealed, plaintext) = (bytes(case, "sealed"), bytes(case, "plaintext"));
    let (id, index) = (array(case, "messageId"), number(case, "index") as u32);
    assert_eq!(*chain, array(case, "chainKey"));
    let (next, seed) = reference::chain_step(chain);
    assert_eq!(seed, array(case, "seed"));
    let keys = Keys::of_message(&seed);
    assert_eq!(keys.enc, array(case, "encKey"));
    assert_eq!(keys.iv, array(case, "iv"));
    assert_eq!(keys.mac, array(case, "macKey"));
    assert_eq!(
        reference::seal(&keys, header, index, &id, &plaintext),
        sealed
    );
    assert_eq!(content_hash(&id, &plaintext), array(case, "contentHash"));
    *chain = next;

    let parsed = SealedHeader::parse(&sealed).unwrap();
    assert_eq!((parsed.index, parsed.message_id), (index, id));
    let opened = receive.open(&sealed).unwrap();
    assert_eq!(opened.plaintext.to_vec(), plaintext);
    assert_eq!(receive.open(&sealed), Err(OpenFailed));
}

fn check_states(stored: &Value) {
    let messages = list(stored, "messages");
    let mut receive = ReceiveEpoch::from_bytes(&bytes(stored, "receiveStateFresh")).unwrap();
    for opened in [0, 3] {
        receive.open(&bytes(&messages[opened], "sealed")).unwrap();
    }
    let after = bytes(stored, "receiveStateAfter0And3");
    assert_eq!(receive.to_bytes().to_vec(), after);
    let send = SendEpoch::from_bytes(&bytes(stored, "sendState")).unwrap();
    assert_eq!(send.to_bytes().to_vec(), bytes(stored, "sendState"));
    assert_eq!(send.grant(), bytes(stored, "grant"));
    assert_eq!(send.next_index() as usize, TEXTS.len());
}

#[test]
fn letter_vectors() {
    let stored = load("letter.json", generate_letters);
    under_every_provider(|provider| {
        for case in list(&stored, "cases") {
            check_letter(case, provider);
        }
    });
}

fn generate_letters() -> Value {
    let cases: Vec<Value> = [&b"good evening"[..], &[3; 252]]
        .into_iter()
        .map(letter_case)
        .collect();
    json!({
        "about": "docs/spec/letter.md; the identities are identities/*.pem in the public circle",
        "cases": cases,
    })
}

fn letter_case(plaintext: &[u8]) -> Value {
    let rng = &mut FixedRng::new("letter");
    let (alice, bob) = (
        Peer::named("alice", &RustCrypto),
        Peer::named("bob", &RustCrypto),
    );
    let header = alice.header(&bob, 1);
    let (from, to) = (&alice.identity, bob.identity.certificate());
    let letter = Letter::seal(rng, from, to, header, &[9; 16], plaintext).unwrap();
    let inner = reference::letter_unwrap(rng, &bob.identity, &bob.id, &letter);
    let length = u32::from_be_bytes(inner[1179..1183].try_into().unwrap()) as usize;
    json!({
        "sender": "alice",
        "receiver": "bob",
        "now": NOW_S,
        "header": header_json(&header),
        "messageId": hex([9; 16]),
        "plaintext": hex(plaintext),
        "grant": hex(&inner[33..1179]),
        "sealed": hex(&inner[1183..1183 + length]),
        "letter": hex(&letter),
    })
}

fn check_letter(case: &Value, provider: &dyn Provider) {
    let alice = Peer::named(text(case, "sender"), provider);
    let bob = Peer::named(text(case, "receiver"), provider);
    let header = header_of(&case["header"]);
    let (letter, grant) = (bytes(case, "letter"), bytes(case, "grant"));
    let rng = &mut common::rng();

    // As specified, by the second writing.
    let inner = reference::letter_unwrap(rng, &bob.identity, &bob.id, &letter);
    let sealed = bytes(case, "sealed");
    let expected = reference::letter_inner(&alice.id, &grant, &sealed, letter.len());
    assert_eq!(inner, expected);
    let label = reference::wrap_label(2, &header);
    let key = bob.identity.unwrap(rng, &label, &grant[122..634]).unwrap();
    let seed = reference::chain_step(&reference::chain_root(&key, &grant)).1;
    let (id, plaintext) = (array(case, "messageId"), bytes(case, "plaintext"));
    let again = reference::seal(&Keys::of_message(&seed), &header, 0, &id, &plaintext);
    assert_eq!(again, sealed);

    // And by the real one.
    let unwrapped = Letter::unwrap(rng, &bob.identity, &bob.id, &letter).unwrap();
    assert_eq!(unwrapped.sender(), &alice.id);
    let certificate = alice.identity.certificate();
    let opened = unwrapped
        .open(rng, &bob.identity, certificate, number(case, "now"))
        .unwrap();
    assert_eq!(opened.header, header);
    assert_eq!(
        (opened.message_id, opened.plaintext.to_vec()),
        (id, plaintext)
    );
}
