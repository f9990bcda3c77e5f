//! The room for frames that wait for a session's stream, bounded in bytes.

use super::frame_size;
use m2_net::wire::Message;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The most bytes of envelopes queued in one session: a window of the longest messages. An excess
/// envelope is dropped, as it will be retransmitted.
const ENVELOPE_BYTES: usize = 64 << 20;
/// The most bytes of all other frames, mainly acknowledgements. A peer that reads never has a tenth
/// of it queued, since it waits for the acknowledgements of one window.
const ANSWER_BYTES: usize = 1 << 20;

/// Why a frame is not queued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoRoom {
    /// Too many envelopes are queued.
    Envelope,
    /// Too many answers are queued: the peer causes them and does not read.
    Answer,
}

/// The room of one session.
#[derive(Debug)]
pub(super) struct Outgoing {
    envelopes: Arc<Semaphore>,
    answers: Arc<Semaphore>,
}

impl Default for Outgoing {
    fn default() -> Self {
        Self {
            envelopes: Arc::new(Semaphore::new(ENVELOPE_BYTES)),
            answers: Arc::new(Semaphore::new(ANSWER_BYTES)),
        }
    }
}

impl Outgoing {
    /// Takes room for a frame, until the returned permit is dropped.
    pub(super) fn room_for(&self, frame: &Message) -> Result<OwnedSemaphorePermit, NoRoom> {
        let (room, full) = match frame {
            Message::Envelope(_) => (&self.envelopes, NoRoom::Envelope),
            _ => (&self.answers, NoRoom::Answer),
        };
        let room = Arc::clone(room).try_acquire_many_owned(frame_size::of(frame, u32::MAX));
        room.map_err(|_| full)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use m2_net::wire::{Ack, Envelope};

    fn acks(count: usize) -> Message {
        let ack = Ack {
            message_id: [1; 16],
            content_hash: [2; 32],
        };
        Message::Acks(vec![ack; count])
    }

    fn envelope() -> Message {
        Message::Envelope(Envelope {
            grant: Bytes::new(),
            sealed: vec![7; 50_000].into(),
        })
    }

    #[test]
    fn a_window_of_the_longest_messages_fits_and_answers_are_bounded() {
        let outgoing = Outgoing::default();
        let mut queued = Vec::new();
        for _ in 0..1_024 {
            queued.push(outgoing.room_for(&envelope()).unwrap());
            queued.push(outgoing.room_for(&acks(1)).unwrap());
        }
        let mut fill = |frame: &Message| {
            (0..1_000).find_map(|_| match outgoing.room_for(frame) {
                Ok(room) => {
                    queued.push(room);
                    None
                }
                Err(full) => Some(full),
            })
        };
        assert_eq!(fill(&acks(1_024)), Some(NoRoom::Answer));
        assert_eq!(fill(&envelope()), Some(NoRoom::Envelope));
    }

    #[test]
    fn a_frame_that_left_makes_room() {
        let outgoing = Outgoing::default();
        let mut queued = Vec::new();
        while let Ok(room) = outgoing.room_for(&acks(1_024)) {
            queued.push(room);
        }
        queued.pop();
        assert!(outgoing.room_for(&acks(1_024)).is_ok());
    }
}
