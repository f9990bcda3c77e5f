//! `tests/vectors/payloads.json`: payloads with their content hashes (docs/spec/delivery.md#payload).
//! `M2_WRITE_VECTORS=1` regenerates the file.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

#[path = "common/vectors.rs"]
#[allow(dead_code, unreachable_pub)]
mod vectors;

use m2_crypto::label;
use m2_delivery::{Body, MessageId, Notice, Payload, PayloadError, Plaintext};
use serde_json::{Value, json};
use std::sync::LazyLock;
use vectors::{f, hex, load_exact, m, n, unhex};

const SEQUENCE: u64 = 300;
const SENT_MS: u64 = 1_800_000_000_000;
const ID: [u8; 16] = [0x1d; 16];
const OTHER: [u8; 16] = [0x2d; 16];
const SKIP: [u8; 2] = [0x42, 0x00];

fn content(fields: &[Vec<u8>]) -> Vec<u8> {
    m(4, fields)
}

fn text(text: &str) -> Vec<u8> {
    content(&[f(2, text)])
}

/// What each payload says: all of it but sequence and time.
fn cases() -> Vec<(&'static str, Vec<u8>)> {
    let markdown = [f(1, "text/markdown"), f(2, "*good*")];
    let reply = [f(2, "yes"), f(3, OTHER), f(4, [0x3d; 16])];
    let edit = m(5, &[f(1, OTHER), m(2, &markdown)]);
    vec![
        ("text", text("good morning")),
        ("empty text", content(&[])),
        ("a media type", content(&markdown)),
        ("a time to live", [n(3, 3_600), text("soon gone")].concat()),
        ("a reply in a thread", content(&reply)),
        ("edit", edit),
        ("retraction", m(6, &[f(1, OTHER)])),
        ("read", m(7, &[f(1, OTHER), f(1, [4; 16])])),
        ("SKIP", SKIP.to_vec()),
        ("reaction", m(10, &[f(1, OTHER), f(2, "👍")])),
        ("no reaction any more", m(10, &[f(1, OTHER)])),
        ("an unknown body", m(12, &[n(1, 1)])),
        ("an unknown field", [text("a"), f(32, "x")].concat()),
        (
            "an unknown field of the content",
            content(&[f(2, "a"), n(5, 7)]),
        ),
        (
            "a default that is written out",
            [n(3, 0), text("a")].concat(),
        ),
    ]
}

/// Returns a payload: sequence and time, then the rest.
fn payload(said: &[u8]) -> Vec<u8> {
    [&n(1, SEQUENCE)[..], &n(2, SENT_MS), said].concat()
}

fn refused() -> Vec<(&'static str, Vec<u8>)> {
    let plain = text("a");
    let ids = |count: usize| m(7, &vec![f(1, OTHER); count]);
    let and = |more: &[u8]| payload(&[&plain[..], more].concat());
    let said = |said: Vec<u8>| payload(&said);
    vec![
        ("no sequence number", [n(2, 1), plain.clone()].concat()),
        (
            "sequence number 2^63 - 1",
            [n(1, (1 << 63) - 1), plain.clone()].concat(),
        ),
        ("no body", payload(&[])),
        ("two bodies", and(&SKIP)),
        ("one body twice", and(&plain)),
        ("a known body and an unknown one", and(&m(12, &[]))),
        (
            "a media type of 128 bytes",
            said(content(&[f(1, [b'm'; 128])])),
        ),
        (
            "49,153 bytes of data",
            said(content(&[f(2, vec![b'a'; 49_153])])),
        ),
        ("an edit without content", said(m(5, &[f(1, OTHER)]))),
        (
            "a retraction of an id of 15 bytes",
            said(m(6, &[f(1, [1; 15])])),
        ),
        (
            "a reply to an id of 15 bytes",
            said(content(&[f(3, [1; 15])])),
        ),
        ("read without an id", said(ids(0))),
        ("read of 257 ids", said(ids(257))),
        (
            "a reaction of 65 bytes",
            said(m(10, &[f(1, OTHER), f(2, [b'r'; 65])])),
        ),
        (
            "a SKIP with a time to live",
            said([n(3, 1), SKIP.to_vec()].concat()),
        ),
        ("truncated", payload(&plain[..plain.len() - 1])),
        ("no protobuf message", vec![0xff; 4]),
    ]
}

/// Payloads without a place (docs/spec/delivery.md#notices), and whether they say that the user types.
fn notices() -> Vec<(&'static str, Option<bool>, Vec<u8>)> {
    let (typing, stopped) = (m(11, &[n(1, 1)]), m(11, &[]));
    let with = |first: &[u8]| [first, &typing[..]].concat();
    vec![
        ("typing", Some(true), typing.clone()),
        ("typing no longer", Some(false), stopped),
        ("a place that is written out", Some(true), with(&n(1, 0))),
        ("a time, which is ignored", Some(true), with(&n(2, SENT_MS))),
        ("an unknown field", Some(true), with(&f(32, "x"))),
        ("an unknown body", None, m(12, &[n(1, 1)])),
    ]
}

fn refused_notices() -> Vec<(&'static str, Vec<u8>)> {
    let typing = m(11, &[n(1, 1)]);
    vec![
        ("typing with a place", payload(&typing)),
        (
            "typing with a time to live",
            [n(3, 60), typing.clone()].concat(),
        ),
        ("a message without a place", text("a")),
        ("a SKIP without a place", SKIP.to_vec()),
        ("no body", Vec::new()),
        ("typing twice", [typing.clone(), typing.clone()].concat()),
        ("typing and a message", [text("a"), typing].concat()),
    ]
}

static STORED: LazyLock<Value> = LazyLock::new(|| load_exact("payloads.json", generate));

fn generate() -> Value {
    let case = |(name, said): (&str, Vec<u8>)| {
        json!({
            "what": name,
            "messageId": hex(ID),
            "sequence": SEQUENCE,
            "sentMs": SENT_MS,
            "payload": hex(payload(&said)),
            "said": hex(&said),
            "contentHash": hex(label::hash("content", &[&ID, &said])),
        })
    };
    let refusal = |(why, payload): (&str, Vec<u8>)| {
        let error = Payload::parse(payload.clone().into()).unwrap_err();
        json!({ "why": why, "payload": hex(payload), "error": format!("{error:?}") })
    };
    let notice = |(what, active, payload): (&str, Option<bool>, Vec<u8>)| json!({ "what": what, "payload": hex(payload), "typing": active });
    let no_notice = |(why, payload): (&str, Vec<u8>)| {
        let error = Plaintext::parse(payload.clone().into()).unwrap_err();
        json!({ "why": why, "payload": hex(payload), "error": format!("{error:?}") })
    };
    json!({
        "about": "docs/spec/delivery.md, payload, ids and hashes",
        "payloads": cases().into_iter().map(case).collect::<Vec<_>>(),
        "refused": refused().into_iter().map(refusal).collect::<Vec<_>>(),
        "notices": notices().into_iter().map(notice).collect::<Vec<_>>(),
        "refusedNotices": refused_notices().into_iter().map(no_notice).collect::<Vec<_>>(),
    })
}

fn parse(case: &Value) -> Result<Payload, PayloadError> {
    Payload::parse(unhex(&case["payload"]).into())
}

#[test]
fn payloads_have_their_hashes() {
    for case in STORED["payloads"].as_array().unwrap() {
        let parsed = parse(case).unwrap();
        assert_eq!((parsed.sequence, parsed.sent.0), (SEQUENCE, SENT_MS));
        let id = MessageId(unhex(&case["messageId"]).try_into().unwrap());
        assert_eq!(
            hex(parsed.hash(&id).0),
            case["contentHash"],
            "{}",
            case["what"]
        );
        assert_eq!(hex(parsed.encode()), case["payload"], "{}", case["what"]);
        let unknown = case["what"] == "an unknown body";
        assert_eq!(parsed.body == Body::Unknown, unknown);
    }
    let skip = &STORED["payloads"].as_array().unwrap()[8];
    assert_eq!(skip["what"], "SKIP");
    assert_eq!(
        hex(Payload::skip_hash(&MessageId(ID)).0),
        skip["contentHash"]
    );
}

/// Returns the name of an error as in the file.
fn named(error: PayloadError) -> Value {
    format!("{error:?}").into()
}

#[test]
fn what_is_no_payload_is_refused() {
    for case in STORED["refused"].as_array().unwrap() {
        let error = parse(case).unwrap_err();
        assert_eq!(named(error), case["error"], "{}", case["why"]);
    }
}

#[test]
fn a_payload_without_a_place_is_a_notice_or_refused() {
    for case in STORED["notices"].as_array().unwrap() {
        let payload = unhex(&case["payload"]);
        let typing = case["typing"].as_bool();
        let expected = typing.map_or(Notice::Unknown, |active| Notice::Typing { active });
        let parsed = Plaintext::parse(payload.into()).unwrap();
        assert_eq!(parsed, Plaintext::Notice(expected), "{}", case["what"]);
    }
    for case in STORED["refusedNotices"].as_array().unwrap() {
        let error = Plaintext::parse(unhex(&case["payload"]).into()).unwrap_err();
        assert_eq!(named(error), case["error"], "{}", case["why"]);
    }
}
