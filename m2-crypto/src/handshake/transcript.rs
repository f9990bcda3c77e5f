//! The transcript: a hash chain over everything that both sides must agree on (spec §3).

use super::message::Message;
use crate::circle::CircleId;
use crate::label;
use crate::peer_id::PeerId;

/// The transcript's value at one point.
pub type TranscriptHash = [u8; 32];

/// Circle id, the called peer id, then every message with its framing, and through them suites
/// and transport parameters.
#[derive(Debug, Clone, Copy)]
pub struct Transcript(TranscriptHash);

impl Transcript {
    /// The start: which circle, and who was called.
    pub fn new(circle: &CircleId, responder: &PeerId) -> Self {
        let fields: [&[u8]; 2] = [circle.as_bytes(), responder.as_bytes()];
        Self(label::hash("handshake transcript", &fields))
    }

    /// The transcript with one more message.
    #[must_use]
    pub fn with(self, message: &Message) -> Self {
        let fields: [&[u8]; 2] = [&self.0, message.bytes()];
        Self(label::hash("handshake message", &fields))
    }

    /// The value now.
    pub const fn hash(&self) -> &TranscriptHash {
        &self.0
    }
}
