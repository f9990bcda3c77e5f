//! The handshake's messages: reassembled from pieces, then parsed as each kind.
#![no_main]

use libfuzzer_sys::fuzz_target;
use m2_crypto::handshake::hello::Hello;
use m2_crypto::handshake::hello_reply::HelloReply;
use m2_crypto::handshake::key_return::KeyReturn;
use m2_crypto::handshake::proof::{Proof, Role};
use m2_crypto::handshake::{Message, MessageReader};

fuzz_target!(|bytes: &[u8]| {
    let mut whole = MessageReader::new();
    if let Ok(Some(message)) = whole.push(bytes) {
        assert_eq!(message.bytes(), bytes);
        parse(&message);
    }
    let mut in_pieces = MessageReader::new();
    for piece in bytes.chunks(7) {
        match in_pieces.push(piece) {
            Ok(None) => {}
            Ok(Some(message)) => parse(&message),
            Err(_) => break,
        }
    }
});

fn parse(message: &Message) {
    let _ = Hello::parse(message);
    let _ = HelloReply::parse(message);
    let _ = KeyReturn::parse(message);
    let _ = Proof::parse(Role::Initiator, message);
    let _ = Proof::parse(Role::Responder, message);
}
