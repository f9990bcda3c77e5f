//! `tests/vectors/session.json` and `session_retry.json`: recorded sessions, opened from their
//! datagrams with the private keys of both ends, under every provider.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod alteration;
mod decoder;
mod page;
mod theft;

use m2_crypto::provider::{Provider, all};
use serde_json::Value;

const FILES: [&str; 2] = ["session.json", "session_retry.json"];

fn path(of: &str) -> String {
    format!("{}/../{of}", env!("CARGO_MANIFEST_DIR"))
}

fn recording(name: &str) -> Value {
    let file = std::fs::read_to_string(path(&format!("tests/vectors/{name}"))).unwrap();
    serde_json::from_str(&file).unwrap()
}

/// Opens a recording and compares everything that follows from its datagrams with the file.
fn check(file: &Value, provider: &'static dyn Provider) -> Result<(), String> {
    match decoder::decode(file, provider)? == *file {
        true => Ok(()),
        false => Err("a value differs from what was derived".into()),
    }
}

#[test]
fn the_recorded_sessions_are_opened() {
    for name in FILES {
        for provider in all() {
            check(&recording(name), *provider).unwrap();
        }
    }
}

#[test]
fn the_recording_has_every_part_of_a_session() {
    let file = recording("session.json");
    let text = file["datagrams"].to_string();
    for part in [
        "\"Initial\"",
        "\"Handshake\"",
        "\"1-RTT\"",
        "\"1-RTT after one key update\"",
        "HANDSHAKE_DONE",
        "NEW_CONNECTION_ID",
        "CONNECTION_CLOSE application 0",
    ] {
        assert!(text.contains(part), "{part}");
    }
    let bodies = |side: &str| -> Vec<_> {
        let frames = file["frames"].as_array().unwrap().iter();
        let own = frames.filter(|frame| frame["from"] == side);
        own.map(|frame| frame["body"].as_str().unwrap()).collect()
    };
    let expected = ["Hello", "ContactRequest", "Places", "Envelope", "Envelope"];
    assert_eq!(bodies("initiator"), expected);
    let expected = ["Hello", "ContactReply", "Places", "Acks", "Acks"];
    assert_eq!(bodies("responder"), expected);
    let retried = recording("session_retry.json");
    assert_eq!(retried["initial"].as_array().unwrap().len(), 2);
    assert!(retried["retry"].is_object() && file["retry"].is_null());
}
