//! The queue of frames for a session's stream, bounded in bytes.

use super::Link;
use super::session::size;
use super::silence::LastLook;
use m2_net::frame::FrameSender;
use m2_net::wire::Message;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

/// The most bytes of envelopes queued in one session: a window of the longest messages. An excess
/// envelope is dropped, as it will be retransmitted.
const ENVELOPE_BYTES: usize = 64 << 20;
/// The most bytes of all other frames, mainly acknowledgements. A peer that reads never has a tenth
/// of it queued, since it waits for the acknowledgements of one window.
const ANSWER_BYTES: usize = 1 << 20;

/// Why a frame was not queued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NotQueued {
    /// Too many envelopes are queued.
    Envelope,
    /// Too many answers are queued: the peer causes them and does not read.
    Answer,
    /// The session has ended.
    Ended,
}

/// The sending end of the queue. Its length is bounded by the bytes queued.
pub(super) struct Outgoing {
    frames: mpsc::UnboundedSender<Waiting>,
    envelopes: Arc<Semaphore>,
    answers: Arc<Semaphore>,
}

/// The receiving end of the queue.
pub(super) struct OutgoingQueue(mpsc::UnboundedReceiver<Waiting>);

struct Waiting {
    frame: Message,
    _room: OwnedSemaphorePermit,
}

impl Outgoing {
    /// Creates an empty queue.
    pub(super) fn new() -> (Self, OutgoingQueue) {
        let (frames, queue) = mpsc::unbounded_channel();
        let outgoing = Self {
            frames,
            envelopes: Arc::new(Semaphore::new(ENVELOPE_BYTES)),
            answers: Arc::new(Semaphore::new(ANSWER_BYTES)),
        };
        (outgoing, OutgoingQueue(queue))
    }

    /// Queues a frame if there is room.
    pub(super) fn push(&self, frame: Message) -> Result<(), NotQueued> {
        let (room, full) = match &frame {
            Message::Envelope(_) => (&self.envelopes, NotQueued::Envelope),
            _ => (&self.answers, NotQueued::Answer),
        };
        let _room = Arc::clone(room)
            .try_acquire_many_owned(size(&frame))
            .map_err(|_| full)?;
        self.frames
            .send(Waiting { frame, _room })
            .map_err(|_| NotQueued::Ended)
    }
}

impl OutgoingQueue {
    /// Forwards frames to the stream until either end is closed.
    pub(super) async fn forward(mut self, link: Arc<Link>, sender: FrameSender) {
        let mut last = LastLook::default();
        while let Some(waiting) = self.0.recv().await {
            link.silence.expect_answer(&mut last, || link.heard());
            if sender.send(waiting.frame).await.is_err() {
                return;
            }
        }
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
        let (outgoing, _queue) = Outgoing::new();
        for _ in 0..1_024 {
            assert_eq!(outgoing.push(envelope()), Ok(()));
            assert_eq!(outgoing.push(acks(1)), Ok(()));
        }
        let refused = (0..1_000).find_map(|_| outgoing.push(acks(1_024)).err());
        assert_eq!(refused, Some(NotQueued::Answer));
        let refused = (0..1_000).find_map(|_| outgoing.push(envelope()).err());
        assert_eq!(refused, Some(NotQueued::Envelope));
    }

    #[test]
    fn frames_taken_from_the_queue_make_room() {
        let (outgoing, mut queue) = Outgoing::new();
        while outgoing.push(acks(1_024)).is_ok() {}
        assert!(queue.0.try_recv().is_ok());
        assert_eq!(outgoing.push(acks(1_024)), Ok(()));
        drop(queue);
        assert_eq!(outgoing.push(envelope()), Err(NotQueued::Ended));
    }
}
