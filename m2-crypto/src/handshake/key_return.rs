//! Message 3, KeyReturn: the initiator's AES key wrapped under the responder's session key
//! (docs/spec/handshake.md#3-keyreturn).

use super::error::PeerMisbehaved;
use super::message::{Message, MessageKind};
use super::transcript::TranscriptHash;
use crate::label;
use crate::session_key::MODULUS_BYTES;

/// A parsed KeyReturn.
#[derive(Debug)]
pub struct KeyReturn {
    /// The initiator's AES key, wrapped under the responder's session key with
    /// [`KeyReturn::wrap_label`].
    pub wrapped: [u8; MODULUS_BYTES],
}

impl KeyReturn {
    /// Returns the OAEP label of [`Self::wrapped`]: its purpose and the transcript up to message 2.
    pub fn wrap_label(after_reply: &TranscriptHash) -> Vec<u8> {
        label::encode("handshake initiator key", &[after_reply])
    }

    /// Encodes wrapped[256].
    pub(super) fn encode(&self) -> Message {
        Message::new(MessageKind::KeyReturn, &self.wrapped)
    }

    /// Parses a KeyReturn.
    pub fn parse(message: &Message) -> Result<Self, PeerMisbehaved> {
        let wrapped = message
            .expect(MessageKind::KeyReturn)?
            .try_into()
            .map_err(|_| PeerMisbehaved::Malformed)?;
        Ok(Self { wrapped })
    }
}
