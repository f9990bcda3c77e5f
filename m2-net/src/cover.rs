//! Cover traffic (spec §7): frames leave at a fixed rate, in pieces of one size, and what there is
//! to say takes the place of pieces that say nothing.

use crate::frame;
use crate::wire::Message;
use bytes::{Bytes, BytesMut};
use std::num::NonZeroU32;
use std::time::Duration;

/// Bytes of a piece: what fits into the smallest packet that every path carries.
pub(crate) const PIECE_BYTES: usize = 1_024;

/// The shortest frame that says nothing: its length, and its body.
const SHORTEST: usize = 4;

/// How long it is from one piece to the next.
pub(crate) fn pause(per_second: NonZeroU32) -> Duration {
    Duration::from_secs(1) / per_second.get()
}

/// Takes a piece from what waits, and fills it up with what says nothing.
pub(crate) fn next_piece(waiting: &mut BytesMut) -> Bytes {
    let missing = PIECE_BYTES.saturating_sub(waiting.len());
    if missing == 0 {
        return waiting.split_to(PIECE_BYTES).freeze();
    }
    // A gap that is too short for a frame is filled by one that goes on into the next piece.
    waiting.extend_from_slice(&nothing(missing.max(SHORTEST)));
    waiting.split_to(PIECE_BYTES).freeze()
}

/// A frame that says nothing, of so many bytes with its length, or a few more.
fn nothing(bytes: usize) -> Bytes {
    // Its length, the body's tag and length, and two bytes a varint at most below 16 KiB.
    let overhead = if bytes > 131 { 5 } else { 3 };
    for length in bytes.saturating_sub(overhead)..=bytes {
        // It is far shorter than what a frame may hold.
        let frame = frame::encode(Message::Cover(length)).unwrap_or_default();
        if frame.len() >= bytes {
            return frame;
        }
    }
    Bytes::new()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::frame::FrameDecoder;
    use crate::wire::{Envelope, Hello, Purpose};

    fn hello() -> Message {
        Message::Hello(Hello {
            unix_ms: 1,
            version: "v".into(),
            purpose: Purpose::Peer,
        })
    }

    fn envelope(length: usize) -> Message {
        Message::Envelope(Envelope {
            grant: Bytes::new(),
            sealed: vec![7; length].into(),
        })
    }

    #[test]
    fn pieces_have_one_size_and_hold_what_was_said() {
        let said: Vec<Message> = [1, 5, 100, 1_000, 1_010, 1_016, 1_020, 1_024, 5_000]
            .map(envelope)
            .into();
        let mut decoder = FrameDecoder::default();
        decoder.push(&frame::encode(hello()).unwrap());
        let mut waiting = BytesMut::new();
        let mut pieces = 0;
        for message in &said {
            waiting.extend_from_slice(&frame::encode(message.clone()).unwrap());
            let piece = next_piece(&mut waiting);
            assert_eq!(piece.len(), PIECE_BYTES);
            decoder.push(&piece);
            pieces += 1;
        }
        while !waiting.is_empty() || pieces < 30 {
            let piece = next_piece(&mut waiting);
            assert_eq!(piece.len(), PIECE_BYTES);
            decoder.push(&piece);
            pieces += 1;
            assert!(pieces < 1_000);
        }
        let mut heard = Vec::new();
        while let Some(message) = decoder.next_message().unwrap() {
            match message {
                Message::Cover(_) | Message::Hello(_) => {}
                other => heard.push(other),
            }
        }
        assert_eq!(heard, said);
    }

    #[test]
    fn every_gap_is_filled() {
        for bytes in SHORTEST..=PIECE_BYTES {
            let length = nothing(bytes).len();
            assert!((bytes..=bytes + 2).contains(&length), "{bytes}: {length}");
        }
    }
}
