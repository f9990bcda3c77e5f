//! Message 3, KeyReturn: the initiator's secrets wrapped under the responder's session key
//! (docs/spec/handshake.md#3-keyreturn).

use super::error::PeerMisbehaved;
use super::message::{Message, MessageKind};
use super::share::{WRAPPED_BYTES, WrappedSecrets};
use super::transcript::TranscriptHash;
use crate::label;
use crate::reader::Reader;

/// A parsed KeyReturn.
#[derive(Debug)]
pub struct KeyReturn {
    /// The initiator's secrets, wrapped under the responder's session key with
    /// [`KeyReturn::wrap_label`].
    pub wrapped: WrappedSecrets,
}

impl KeyReturn {
    /// Returns the OAEP label of [`Self::wrapped`]: its purpose and the transcript up to message 2.
    pub fn wrap_label(after_reply: &TranscriptHash) -> Vec<u8> {
        label::encode("handshake initiator key", &[after_reply])
    }

    /// Encodes wrapped secrets[1344].
    pub(super) fn encode(&self) -> Message {
        let mut body = Vec::with_capacity(WRAPPED_BYTES);
        self.wrapped.encode(&mut body);
        Message::new(MessageKind::KeyReturn, &body)
    }

    /// Parses a KeyReturn.
    pub fn parse(message: &Message) -> Result<Self, PeerMisbehaved> {
        let mut reader = Reader::new(message.expect(MessageKind::KeyReturn)?);
        let wrapped = WrappedSecrets::take(&mut reader);
        let wrapped = wrapped.filter(|_| reader.end().is_some());
        Ok(Self {
            wrapped: wrapped.ok_or(PeerMisbehaved::Malformed)?,
        })
    }
}
