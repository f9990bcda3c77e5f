//! Cover traffic (docs/spec/wire.md#cover): data leaves at a fixed rate, in pieces of one size.
//! Frames take the place of cover.

use super::super::frame;
use crate::wire::Message;
use bytes::{Bytes, BytesMut};
use std::num::NonZeroU32;
use std::time::Duration;

/// The size of a piece in bytes: it fits into the smallest packet that every path carries.
pub(crate) const PIECE_BYTES: usize = 1_024;

/// The shortest cover frame in bytes: its length and its body.
const SHORTEST: usize = 4;

/// Returns the time from one piece to the next.
pub(crate) fn pause(per_second: NonZeroU32) -> Duration {
    Duration::from_secs(1) / per_second.get()
}

/// Takes a piece from the waiting frames, and fills it up with cover.
pub(crate) fn next_piece(waiting: &mut BytesMut) -> Bytes {
    let missing = PIECE_BYTES.saturating_sub(waiting.len());
    if missing == 0 {
        return waiting.split_to(PIECE_BYTES).freeze();
    }
    // A gap that is too short for a frame is filled by one that continues in the next piece.
    waiting.extend_from_slice(&nothing(missing.max(SHORTEST)));
    waiting.split_to(PIECE_BYTES).freeze()
}

/// Returns a cover frame of `bytes` bytes including its length, or up to two more.
fn nothing(bytes: usize) -> Bytes {
    // The frame's length, and the body's tag and length; each varint below 16 KiB has at most two
    // bytes.
    let overhead = if bytes > 131 { 5 } else { 3 };
    for length in bytes.saturating_sub(overhead)..=bytes {
        // Encoding can't fail: the frame is far shorter than the limit.
        let frame = frame::encode(Message::Cover(length)).unwrap_or_default();
        if frame.len() >= bytes {
            return frame;
        }
    }
    Bytes::new()
}

#[cfg(test)]
mod tests {
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
    fn pieces_have_one_size_and_carry_all_frames() {
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
