//! Frames that wait for a session's stream, bounded by their bytes.

use super::Link;
use super::session::size;
use super::silence::LastLook;
use m2_net::frame::FrameSender;
use m2_net::wire::Message;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

/// Bytes of envelopes that one session may have waiting: a window of the longest messages. One
/// too many is dropped, as its repeat will come.
const ENVELOPE_BYTES: usize = 64 << 20;
/// Bytes of everything else, acknowledgements above all. Who reads what it is sent never has a
/// tenth of it waiting, since it waits for the acknowledgements of one window.
const ANSWER_BYTES: usize = 1 << 20;

/// A frame was not queued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NotQueued {
    /// Too many envelopes wait.
    Envelope,
    /// Too many answers wait: the peer asks for them and does not read.
    Answer,
    /// The session ended.
    Ended,
}

/// The way into the queue. The bytes of what is in it bound its length.
pub(super) struct Outgoing {
    frames: mpsc::UnboundedSender<Waiting>,
    envelopes: Arc<Semaphore>,
    answers: Arc<Semaphore>,
}

/// The other end.
pub(super) struct OutgoingQueue(mpsc::UnboundedReceiver<Waiting>);

struct Waiting {
    frame: Message,
    _room: OwnedSemaphorePermit,
}

impl Outgoing {
    /// An empty queue.
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
    /// Moves frames to the stream until either end is gone.
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
    fn a_window_of_the_longest_messages_fits_and_no_end_of_answers() {
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
    fn what_was_taken_out_makes_room() {
        let (outgoing, mut queue) = Outgoing::new();
        while outgoing.push(acks(1_024)).is_ok() {}
        assert!(queue.0.try_recv().is_ok());
        assert_eq!(outgoing.push(acks(1_024)), Ok(()));
        drop(queue);
        assert_eq!(outgoing.push(envelope()), Err(NotQueued::Ended));
    }
}
