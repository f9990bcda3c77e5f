//! The fixed vectors of conventions, identity and look-up. `M2_WRITE_VECTORS=1` regenerates them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod common;

use common::vectors::{FixedRng, array, bytes, hex, list, load_exact, number, text, unhex};
use common::{NOW_S, Peer};
use m2_crypto::invitation::{
    Invitation, InvitationError, InviteId, InvitedLine, Offer, proof, verify_proof,
};
use m2_crypto::line::JoinToken;
use m2_crypto::obfuscation::packet_key;
use m2_crypto::presence::{
    Announcement, DayKey, PresenceKey, PresenceLine, PresenceSecret, Record, RecordKey, tag,
};
use m2_crypto::provider::rustcrypto::RustCrypto;
use m2_crypto::verification::VerificationCode;
use m2_crypto::{Circle, PeerId, Secret, label};
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
            let packet_keys = [[0x5a; 32], [0xa5; 32]].map(|id| {
                let responder = PeerId::from_bytes(id);
                json!({
                    "responderPeerId": hex(responder.as_bytes()),
                    "packetKey": hex(packet_key(&circle, &responder).expose()),
                })
            });
            json!({
                "name": name,
                "secret": secret.map(hex),
                "id": hex(circle.id().as_bytes()),
                "circleKey": hex(circle.key().expose()),
                "packetKeys": packet_keys,
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
        offer(
            true,
            &[],
            &[
                &invited_line(0x61, &["192.0.2.9:4242"]),
                b"line",
                &invited_line(0x62, &["[2001:db8::9]:1"; 4]),
            ],
        ),
    ]
}

fn invited_line(relay: u8, addresses: &[&str]) -> Vec<u8> {
    let line = InvitedLine {
        relay: PeerId::from_bytes([relay; 32]),
        token: JoinToken([relay ^ 0xff; 16]),
        addresses: addresses.iter().map(|text| text.parse().unwrap()).collect(),
    };
    line.to_bytes().unwrap()
}

/// Returns the lines that this version can parse.
fn shown_lines(invitation: &Invitation) -> Vec<Value> {
    let lines = invitation.invited_lines().map(|line| {
        let addresses = line.addresses.iter().map(ToString::to_string);
        json!({
            "relay": hex(line.relay.as_bytes()),
            "token": hex(line.token.0),
            "addresses": addresses.collect::<Vec<_>>(),
        })
    });
    lines.collect()
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
        "recordKey": hex(made.record_key()),
        "reusable": made.reusable(),
        "expires": made.expires_s(),
        "addresses": made.addresses().iter().map(ToString::to_string).collect::<Vec<_>>(),
        "lines": made.lines().iter().map(hex).collect::<Vec<_>>(),
        "invitedLines": shown_lines(&made),
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
    assert_eq!(read.record_key(), &array(case, "recordKey"));
    assert_eq!(read.expires_s(), number(case, "expires"));
    assert_eq!(Some(read.reusable()), case["reusable"].as_bool());
    let addresses: Vec<_> = list(case, "addresses")
        .iter()
        .map(|text| text.as_str().unwrap().parse().unwrap())
        .collect();
    assert_eq!(read.addresses(), addresses);
    let lines: Vec<_> = list(case, "lines").iter().map(unhex).collect();
    assert_eq!(read.lines(), lines);
    assert_eq!(&shown_lines(&read), list(case, "invitedLines"));
    assert_eq!(read.id(), InviteId::from_bytes(array(case, "inviteId")));
    let exporter = Secret::new(array(case, "exporter"));
    assert!(verify_proof(read.token(), &exporter, &bytes(case, "proof")));
    assert_eq!(*read.to_uri(), text(case, "uri"));
}

/// Encodes a body with a valid checksum as text.
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

// ---- Look-up ----

#[test]
fn presence_vectors() {
    let stored = load_exact("presence.json", || {
        let cases = [(0x11, 0), (0x11, 20_833), (0x22, 20_833)];
        json!({
            "about": "docs/spec/lookup.md",
            "records": cases.map(|(byte, day)| presence_case(byte, day)),
            "announcement": announcement_case(),
            "invitation": invited_presence(),
        })
    });
    for case in list(&stored, "records") {
        let secret = PresenceSecret::new(Secret::new(array(case, "secret")));
        let key = DayKey::derive(
            &PresenceKey::of_pair(secret),
            u32::try_from(number(case, "day")).unwrap(),
        );
        let record = Record::open(&key, &bytes(case, "sealed")).unwrap();
        assert_eq!(record.made_s, number(case, "madeS"));
        assert_eq!(&shown_presence_lines(&record), list(case, "lines"));
    }
    let case = &stored["announcement"];
    let announcement = Announcement::parse(&bytes(case, "bytes")).unwrap();
    for secret in list(case, "secrets") {
        let secret = PresenceSecret::new(Secret::new(unhex(secret).try_into().unwrap()));
        let hour = u32::try_from(number(case, "hour")).unwrap();
        assert_eq!(announcement.find([((), &secret)], hour), Some(()));
    }
}

fn presence_case(byte: u8, day: u32) -> Value {
    let secret = [byte; 32];
    let pair = PresenceKey::of_pair(PresenceSecret::new(Secret::new(secret)));
    let key = DayKey::derive(&pair, day);
    let addresses = ["192.0.2.7:4242", "[2001:db8::7]:4242"].map(|text| text.parse().unwrap());
    let record = Record {
        made_s: u64::from(day) * 86_400 + 7,
        addresses: addresses.to_vec(),
        lines: vec![PresenceLine {
            relay: PeerId::from_bytes([0x61; 32]),
            token: JoinToken([0x62; 16]),
            addresses: addresses.to_vec(),
        }],
    };
    let sealed = record.seal(&mut FixedRng::new("presence"), &key).unwrap();
    json!({
        "secret": hex(secret),
        "day": day,
        "dhtSeed": hex(key.dht_key().seed().unwrap().expose()),
        "dhtKey": hex(key.dht_key().public()),
        "madeS": record.made_s,
        "addresses": addresses.map(|address| address.to_string()),
        "lines": shown_presence_lines(&record),
        "content": hex(&record.to_content().unwrap()[..]),
        "sealed": hex(sealed),
    })
}

/// The keys of an invitation's records, as its inviter and its holders derive them.
fn invited_presence() -> Value {
    let (token, seed) = (Secret::new([0x32; 16]), Secret::new([0x33; 32]));
    let own = RecordKey::Seed(seed.clone());
    let key = PresenceKey::of_invitation(&token, own.clone());
    let day = DayKey::derive(&key, 20_833);
    let record = Record {
        made_s: 20_833 * 86_400,
        addresses: Vec::new(),
        lines: Vec::new(),
    };
    let sealed = record.seal(&mut FixedRng::new("invited"), &day).unwrap();
    let holder = PresenceKey::of_invitation(&token, RecordKey::Public(own.public()));
    assert!(Record::open(&DayKey::derive(&holder, 20_833), &sealed).unwrap() == record);
    json!({
        "token": hex(token.expose()),
        "seed": hex(seed.expose()),
        "recordKey": hex(own.public()),
        "day": day.day(),
        "salt": hex(day.salt().unwrap()),
        "madeS": record.made_s,
        "sealed": hex(sealed),
        "presenceSecret": hex(label::mac(token.expose(), "invitation presence", &[&own.public()])),
        "nonce": hex([0x44; 16]),
        "hour": 500_000,
        "tag": hex(tag(key.secret(), &[0x44; 16], 500_000)),
    })
}

fn shown_presence_lines(record: &Record) -> Vec<Value> {
    let lines = record.lines.iter().map(|line| {
        let addresses = line.addresses.iter().map(ToString::to_string);
        json!({
            "relay": hex(line.relay.as_bytes()),
            "token": hex(line.token.0),
            "addresses": addresses.collect::<Vec<_>>(),
        })
    });
    lines.collect()
}

fn announcement_case() -> Value {
    let secrets = [[0x11; 32], [0x22; 32]];
    let [one, other] = secrets.map(|secret| PresenceSecret::new(Secret::new(secret)));
    let rng = &mut FixedRng::new("announcement");
    let bytes = Announcement::make(rng, 500_000, &[&one, &other]).to_bytes();
    let nonce = bytes.first_chunk().unwrap();
    json!({
        "secrets": secrets.map(hex),
        "hour": 500_000,
        "tags": [hex(tag(&one, nonce, 500_000)), hex(tag(&other, nonce, 500_000))],
        "bytes": hex(bytes),
    })
}
