//! Plaintexts that are no messages: malformed ones, and notices.

use super::sides::{Bob, Epoch, NOW, id};
use m2_delivery::{Ack, GiveUp, MessageState, Misdeed, Payload, PayloadError};
use m2_tests::sim::Letter;

#[test]
fn a_letter_holds_a_message() {
    let mut bob = Bob::new();
    for (payload, oldest, error) in [
        (&b"\x5a\x02\x08\x01"[..], 1, PayloadError::Notice),
        (b"\x08\x01\x42\x00", 2, PayloadError::Oldest),
        (b"\x08\x01\x42\x00", 0, PayloadError::Oldest),
    ] {
        let letter = Letter {
            incarnation: 1,
            id: id(1),
            oldest,
            payload: payload.to_vec(),
        };
        let refused = bob.node.on_letter(NOW, &letter);
        assert_eq!(refused, Err(Misdeed::Payload(error)));
        bob.expect_shown(&[]);
    }
    assert_eq!(bob.node.notices, 0);
}

#[test]
fn a_notice_leaves_no_trace() {
    let mut bob = Bob::new();
    let mut alice = Epoch::of_alice(1, 1);
    let first = alice.seal_as(id(1), 1, "first");
    bob.take(Some(&alice), &first).unwrap();
    assert_eq!(bob.acknowledged(), [id(1)]);
    // Typing; a notice of a later version.
    for notice in [&b"\x5a\x02\x08\x01"[..], b"\x7a\x01x"] {
        let sealed = alice.seal_bytes(id(2), notice);
        bob.take(None, &sealed).unwrap();
        assert!(bob.frames().is_empty());
    }
    assert_eq!(bob.node.notices, 1);
    assert_eq!(bob.node.counters().unknown_notices, 1);
    // A message may have the id of a notice, as no side keeps that.
    let second = alice.seal_as(id(2), 2, "second");
    bob.take(None, &second).unwrap();
    assert_eq!(bob.acknowledged(), [id(2)]);
    bob.expect_shown(&[1, 2]);
}

#[test]
fn malformed_payloads_are_never_acknowledged() {
    let mut bob = Bob::new();
    let mut alice = Epoch::of_alice(1, 1);
    let plaintexts: [(&[u8], PayloadError); 12] = [
        (b"", PayloadError::Encoding),
        // A skip without a place; typing with a place, and with a time to live.
        (b"\x42\x00", PayloadError::Sequence),
        (b"\x08\x01\x5a\x00", PayloadError::Notice),
        (b"\x18\x05\x5a\x00", PayloadError::Notice),
        (b"\xff", PayloadError::Encoding),
        (b"\x08\x01", PayloadError::Encoding),
        (b"\x08\x01\x7a\x09", PayloadError::Encoding),
        (b"\x08\x01\x32\x05\x0a\x03abc", PayloadError::MessageId),
        (b"\x08\x01\x22\x05\x1a\x03abc", PayloadError::MessageId),
        (b"\x08\x01\x3a\x00", PayloadError::ReadCount),
        (b"\x08\x01\x18\x05\x42\x00", PayloadError::Skip),
        (&[0; 49 * 1_024 + 1], PayloadError::TooLarge),
    ];
    for (n, (plaintext, error)) in plaintexts.into_iter().enumerate() {
        let sealed = alice.seal_bytes(id(n as u64), plaintext);
        for _ in 0..2 {
            let refused = Err(Misdeed::Payload(error));
            assert_eq!(bob.take(Some(&alice), &sealed), refused, "{n}");
        }
        assert!(bob.frames().is_empty());
    }
    let sealed = alice.seal_as(id(20), 1, "fine");
    bob.take(None, &sealed).unwrap();
    assert_eq!(bob.acknowledged(), [id(20)]);
}

/// The peer holds a SKIP for a message that this store did not give up: an earlier life of the store did.
#[test]
fn a_skip_that_the_store_does_not_remember_gives_the_message_up() {
    let mut bob = Bob::new();
    let own = bob.send("given up before the store was restored");
    bob.frames();
    let skipped = Ack {
        id: own,
        hash: Payload::skip_hash(&own),
    };
    assert_eq!(bob.take_acks(vec![skipped]), Ok(()));
    bob.frames();
    let state = bob.node.store.sent[&own].state;
    assert_eq!(state, MessageState::GivenUp(GiveUp::Earlier));
    assert_eq!(bob.node.conversation().pending(), 0);
}
