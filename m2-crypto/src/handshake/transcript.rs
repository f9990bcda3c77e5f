//! The transcript: a hash chain over everything on which both sides must agree
//! (docs/spec/handshake.md#transcript).

use super::message::Message;
use crate::circle::CircleId;
use crate::label;
use crate::peer_id::PeerId;

/// The transcript's value after a message.
pub type TranscriptHash = [u8; 32];

/// A hash over the circle id, the dialled peer id and every message with its framing, which
/// includes suites and transport parameters.
#[derive(Debug, Clone, Copy)]
pub struct Transcript(TranscriptHash);

impl Transcript {
    /// Starts a transcript from the circle and the dialled peer id.
    pub fn new(circle: &CircleId, responder: &PeerId) -> Self {
        let fields: [&[u8]; 2] = [circle.as_bytes(), responder.as_bytes()];
        Self(label::hash("handshake transcript", &fields))
    }

    /// Returns the transcript extended by one message.
    #[must_use]
    pub fn with(self, message: &Message) -> Self {
        let fields: [&[u8]; 2] = [&self.0, message.bytes()];
        Self(label::hash("handshake message", &fields))
    }

    /// Returns the current value.
    pub const fn hash(&self) -> &TranscriptHash {
        &self.0
    }
}
