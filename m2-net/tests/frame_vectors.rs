//! `tests/vectors/frames.json`: every body of a frame (docs/spec/wire.md#frames), and streams that
//! must be refused. `M2_WRITE_VECTORS=1` regenerates the file.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

#[path = "common/vectors.rs"]
#[allow(dead_code, unreachable_pub)]
mod vectors;

use m2_net::frame::{FrameDecoder, encode};
use m2_net::wire::{Malformed, Message};
use serde_json::{Value, json};
use std::sync::LazyLock;
use vectors::{f, fixed, hex, load_exact, m, n, read, unhex, varint};

const ADDRESS: &str = "192.0.2.7:4242";
const HELLO: u64 = 1;
const ENVELOPE: u64 = 2;
const ACKS: u64 = 3;
const REQUEST: u64 = 4;
const REPLY: u64 = 5;
const REFUSED: u64 = 6;
const MAILBOX: u64 = 7;
const LINE: u64 = 8;
const COVER: u64 = 9;
const REACH: u64 = 10;
const PLACES: u64 = 11;

type Named = (&'static str, Vec<u8>);

/// Returns a frame of one body, with its length.
fn frame(body: u64, fields: &[Vec<u8>]) -> Vec<u8> {
    let frame = m(body, fields);
    [varint(frame.len() as u64), frame].concat()
}

fn mailbox(body: u64, fields: &[Vec<u8>]) -> Vec<u8> {
    frame(MAILBOX, &[m(body, fields)])
}

fn line(body: u64, fields: &[Vec<u8>]) -> Vec<u8> {
    frame(LINE, &[m(body, fields)])
}

fn hello(purpose: &[Vec<u8>]) -> Vec<u8> {
    let fields = [n(1, 1_800_000_000_000), f(2, "0.1.0"), purpose.concat()];
    frame(HELLO, &fields)
}

fn ack(id: usize, hash: usize) -> Vec<u8> {
    m(1, &[f(1, vec![1; id]), f(2, vec![2; hash])])
}

fn range(first: u64, count: u64) -> Vec<u8> {
    m(9, &[n(1, first), n(2, count)])
}

/// The fields of Places, in order.
fn places() -> Vec<Vec<u8>> {
    vec![
        fixed(1, 0x1122_3344_5566_7788),
        n(2, 3),
        n(3, 7),
        f(4, [0x61; 1_158]),
        fixed(5, 0x99aa_bbcc_ddee_ff00),
        n(6, 2),
        n(7, 4),
        n(8, 12),
        range(5, 2),
        range(8, 1),
    ]
}

/// The bodies of sessions between peers.
fn peer_frames() -> Vec<Named> {
    let candidates = [f(1, ADDRESS), f(1, "[2001:db8::7]:4242"), n(2, 1)];
    let envelope = f(2, [0x73; 85]);
    let proof = [f(1, [5; 16]), f(2, [6; 32]), f(3, "Ann")];
    vec![
        ("Hello", hello(&[])),
        ("Hello for a mailbox", hello(&[n(3, 1)])),
        ("Hello for a line, anonymous", frame(HELLO, &[n(3, 2)])),
        ("Hello, anonymous", frame(HELLO, &[])),
        (
            "Envelope with a grant",
            frame(ENVELOPE, &[f(1, [0x67; 1_158]), envelope.clone()]),
        ),
        ("Envelope", frame(ENVELOPE, &[envelope])),
        ("Acks", frame(ACKS, &[ack(16, 32), ack(16, 32)])),
        ("ContactRequest", frame(REQUEST, &proof)),
        (
            "ContactRequest without an invitation",
            frame(REQUEST, &[f(3, "Ann")]),
        ),
        ("ContactReply", frame(REPLY, &[n(1, 1)])),
        ("ContactReply that declines", frame(REPLY, &[])),
        ("EpochRefused", frame(REFUSED, &[n(1, u64::MAX), n(2, 7)])),
        ("cover", frame(COVER, &[vec![0; 5]])),
        ("Reach Observed", frame(REACH, &[m(1, &[f(1, ADDRESS)])])),
        ("Reach Candidates", frame(REACH, &[m(2, &candidates)])),
        ("Places", frame(PLACES, &places())),
        (
            "Places at the beginning",
            frame(PLACES, &[fixed(5, 7), n(7, 1), n(8, 1)]),
        ),
    ]
}

fn mailbox_frames() -> Vec<Named> {
    let keys = read("one_time_key.json");
    let key = unhex(&keys["cases"][0]["publicKey"]);
    let nonces = [f(1, [4; 16]), f(1, [5; 16])];
    let state = [n(1, 1), n(2, 1_000), n(3, 1 << 33)];
    let offered = m(1, &[f(1, [8; 32]), f(2, ADDRESS), f(3, [9; 8])]);
    let token = m(2, &[f(1, [7; 34]), f(2, key)]);
    let deposit = [f(1, [6; 32]), f(2, [7; 34]), f(3, [0x6c; 4_096])];
    vec![
        (
            "RegisterBox",
            mailbox(1, &[f(1, [1; 16]), f(2, [2; 32]), f(3, [3; 32])]),
        ),
        ("OpenBox", mailbox(2, &[f(1, [3; 32])])),
        ("RemoveBox", mailbox(3, &[])),
        ("LettersTaken", mailbox(4, &nonces)),
        ("BoxState", mailbox(5, &state)),
        (
            "BoxState that is not open",
            mailbox(5, &[f(4, "BOXES_FULL")]),
        ),
        ("Letter", mailbox(6, &[f(1, [4; 16]), f(2, [0x6c; 4_096])])),
        ("Deposit", mailbox(7, &deposit)),
        ("Deposited", mailbox(8, &[f(1, [7; 16]), n(2, 3)])),
        ("MailboxOffer", mailbox(9, &[offered])),
        ("MailboxOffer of no box", mailbox(9, &[])),
        ("MailboxTokens", mailbox(10, &[f(1, [9; 8]), token])),
        ("TokenReport", mailbox(11, &[f(1, [4; 16]), f(2, [5; 16])])),
        ("SeriesHeld", mailbox(12, &[f(1, [9; 8])])),
        (
            "LetterSecrets",
            mailbox(13, &[f(1, [10; 8]), f(2, [11; 8])]),
        ),
    ]
}

fn line_frames() -> Vec<Named> {
    let extend = [f(1, [8; 32]), f(2, ADDRESS), n(3, 1), f(4, [0; 4_608])];
    let offered = [f(1, [8; 32]), f(2, ADDRESS), n(3, 20_833), f(4, [2; 16])];
    vec![
        ("OpenLines", line(1, &[f(1, [1; 32])])),
        ("CloseLines", line(2, &[f(1, [2; 16])])),
        ("JoinLine", line(3, &[n(1, 1), f(2, [2; 16])])),
        ("ExtendSession", line(4, &extend)),
        ("LinesOpened", line(5, &[n(1, 1)])),
        ("LineJoined", line(6, &[n(1, 1), n(2, 1)])),
        ("LineCalled", line(7, &[n(1, 2), f(2, [2; 16])])),
        ("SessionExtended", line(8, &[n(1, 1)])),
        ("LeaveChannel", line(9, &[n(1, 2)])),
        ("LineOffer", line(10, &[m(1, &offered)])),
        ("ObserveParty", line(11, &[])),
        ("PartyObserved", line(12, &[f(1, ADDRESS)])),
    ]
}

/// Streams that end a session by their framing or order.
fn bad_streams() -> Vec<Named> {
    let after = |bytes: &[u8]| [&hello(&[])[..], bytes].concat();
    let long = f(2, vec![b'v'; 33]);
    vec![
        ("another frame before the Hello", frame(REPLY, &[n(1, 1)])),
        ("cover before the Hello", frame(COVER, &[])),
        ("a second Hello", after(&hello(&[]))),
        ("purpose 3", hello(&[n(3, 3)])),
        ("a version of 33 bytes", frame(HELLO, &[long])),
        ("length 0", after(&[0])),
        ("a length of 131,073", after(&[0x81, 0x80, 0x08])),
        ("a length of 4 bytes", after(&[0x81, 0x80, 0x80, 0x00])),
        ("no protobuf message", after(&[3, 0xff, 0xff, 0xff])),
        ("no body", after(&[2, 0x60, 0x01])),
        ("an unknown body", after(&[2, 0x62, 0x00])),
    ]
}

/// Frames that end a session.
fn bad_frames() -> Vec<Named> {
    let request = |id, proof, name| {
        let name = f(3, vec![b'n'; name]);
        frame(REQUEST, &[f(1, vec![1; id]), f(2, vec![2; proof]), name])
    };
    let observed = |address: &str| frame(REACH, &[m(1, &[f(1, address)])]);
    let nine = m(2, &vec![f(1, ADDRESS); 9]);
    let short = [f(1, [6; 32]), f(2, [7; 33]), f(3, [0; 4_096])];
    let hops = [f(1, [8; 32]), f(2, ADDRESS), n(3, 4), f(4, [0; 4_608])];
    let padding = [f(1, [8; 32]), f(2, ADDRESS), n(3, 1), f(4, [0; 4_607])];
    vec![
        (
            "Envelope without a message",
            frame(ENVELOPE, &[f(1, [1; 1_158])]),
        ),
        (
            "a grant of 4,097 bytes",
            frame(ENVELOPE, &[f(1, [1; 4_097]), f(2, [1; 85])]),
        ),
        ("no acknowledgement", frame(ACKS, &[])),
        (
            "1,025 acknowledgements",
            frame(ACKS, &vec![ack(16, 32); 1_025]),
        ),
        (
            "an acknowledged id of 15 bytes",
            frame(ACKS, &[ack(15, 32)]),
        ),
        (
            "an acknowledged hash of 33 bytes",
            frame(ACKS, &[ack(16, 33)]),
        ),
        ("a proof without an id", request(0, 32, 0)),
        ("an id without a proof", request(16, 0, 0)),
        ("a proof of 31 bytes", request(16, 31, 0)),
        ("a name of 65 bytes", request(16, 32, 65)),
        ("cover of 2,049 bytes", frame(COVER, &[vec![0; 2_049]])),
        ("Mailbox without a body", frame(MAILBOX, &[])),
        ("a box key of 31 bytes", mailbox(2, &[f(1, [3; 31])])),
        ("LettersTaken without a nonce", mailbox(4, &[])),
        (
            "a letter of 4,095 bytes",
            mailbox(6, &[f(1, [4; 16]), f(2, [0; 4_095])]),
        ),
        ("a token of 33 bytes", mailbox(7, &short)),
        ("Deposited without an outcome", mailbox(8, &[f(1, [4; 16])])),
        ("Line without a body", frame(LINE, &[])),
        ("OpenLines without a secret", line(1, &[])),
        ("ExtendSession with 4 hops", line(4, &hops)),
        ("ExtendSession with less padding", line(4, &padding)),
        ("LineJoined without an outcome", line(6, &[n(1, 1)])),
        ("Reach without a body", frame(REACH, &[])),
        ("an address without a port", observed("192.0.2.7")),
        ("a name in place of an address", observed("example.com:443")),
        (
            "an IPv6 address without brackets",
            observed("2001:db8::7:4242"),
        ),
        ("9 candidates", frame(REACH, &[nine])),
    ]
}

/// Statements of places that end a session.
fn bad_places() -> Vec<Named> {
    let with = |field: usize, value: Vec<u8>| {
        let mut places = places();
        places[field - 1] = value;
        frame(PLACES, &places)
    };
    vec![
        ("no incarnation", with(5, Vec::new())),
        ("an epoch of 2^63", with(6, n(6, 1 << 63))),
        ("a grant of 1,157 bytes", with(4, f(4, [0x61; 1_157]))),
        ("no oldest place", with(7, Vec::new())),
        ("oldest above next", with(7, n(7, 13))),
        ("next of 2^63", with(8, n(8, 1 << 63))),
        ("following nothing, with an epoch", with(1, Vec::new())),
        ("following, and expecting nothing", with(3, Vec::new())),
        ("ranges that touch", with(10, range(7, 1))),
        ("ranges out of order", with(9, range(10, 1))),
        ("a range of no place", with(9, range(5, 0))),
        ("a range at oldest", with(9, range(4, 2))),
        ("a range up to next", with(10, range(8, 5))),
    ]
}

static STORED: LazyLock<Value> = LazyLock::new(|| load_exact("frames.json", generate));

fn generate() -> Value {
    let after_hello = |(why, frame): Named| (why, [hello(&[]), frame].concat());
    let stream = |(why, stream): Named| json!({ "why": why, "stream": hex(stream) });
    let refused = |(why, stream): Named| {
        let error = messages(&stream).unwrap_err();
        json!({ "why": why, "stream": hex(stream), "error": format!("{error:?}") })
    };
    let frame = |(name, frame): Named| json!({ "body": name, "frame": hex(frame) });
    let frames = [peer_frames(), mailbox_frames(), line_frames()].concat();
    let bad = [bad_frames(), bad_places()].concat();
    let bad = bad.into_iter().map(after_hello);
    let long = vec![0x82, 0x00, 0x0a, 0x00, 0x82, 0x80, 0x00, 0x2a, 0x00];
    let unknown = vec![5, 0x0a, 3, 0xf8, 7, 1, 5, 0x2a, 0, 0xc0, 0x3e, 1];
    let accepted = [
        ("lengths with more bytes than necessary", long),
        ("unknown fields in a body, and next to one", unknown),
        (
            "two bodies: the last one counts",
            [hello(&[]), vec![4, 0x4a, 0, 0x2a, 0]].concat(),
        ),
    ];
    json!({
        "about": "docs/spec/wire.md, frames; each with its length",
        "frames": frames.into_iter().map(frame).collect::<Vec<_>>(),
        "accepted": accepted.map(stream),
        "refused": bad_streams().into_iter().chain(bad).map(refused).collect::<Vec<_>>(),
    })
}

/// Reads all frames of a stream.
fn messages(stream: &[u8]) -> Result<Vec<Message>, Malformed> {
    let mut decoder = FrameDecoder::default();
    decoder.push(stream);
    let mut messages = Vec::new();
    while let Some(message) = decoder.next_message()? {
        messages.push(message);
    }
    Ok(messages)
}

#[test]
fn every_body_is_decoded_and_encoded() {
    for case in STORED["frames"].as_array().unwrap() {
        let frame = unhex(&case["frame"]);
        let stream = match case["body"].as_str().unwrap().starts_with("Hello") {
            true => frame.clone(),
            false => [hello(&[]), frame.clone()].concat(),
        };
        let message = messages(&stream).unwrap().pop().unwrap();
        assert_eq!(encode(message).unwrap(), frame, "{}", case["body"]);
    }
}

#[test]
fn streams_that_break_the_format_are_refused() {
    for case in STORED["accepted"].as_array().unwrap() {
        let read = messages(&unhex(&case["stream"])).unwrap();
        assert_eq!(read.len(), 2, "{}", case["why"]);
        assert_eq!(read[1], Message::ContactReply { accepted: false });
    }
    for case in STORED["refused"].as_array().unwrap() {
        let error = messages(&unhex(&case["stream"])).unwrap_err();
        assert_eq!(format!("{error:?}"), case["error"], "{}", case["why"]);
    }
}
