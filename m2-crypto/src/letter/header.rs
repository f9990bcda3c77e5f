//! The fields that the sender of a letter signs (docs/spec/letter.md#inside).

use crate::deposit::DepositNonce;
use crate::envelope::MESSAGE_ID_BYTES;
use crate::label;
use crate::peer_id::PeerId;
use crate::reader::Reader;

/// The version byte. The letters of [`envelope`](crate::envelope) have version 1.
const VERSION: u8 = 2;

/// The fields of a letter that describe its message. The receiver learns them with the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LetterHeader {
    /// The peer that signs and seals the letter.
    pub sender: PeerId,
    /// The sender's incarnation.
    pub incarnation: u64,
    /// When the letter was sealed, Unix time in seconds by the sender's clock.
    pub created_s: u64,
    /// The oldest place that the sender still offers (docs/spec/delivery.md#by-letter).
    pub oldest: u64,
    /// The message's id.
    pub message_id: [u8; MESSAGE_ID_BYTES],
}

impl LetterHeader {
    pub(super) const BYTES: usize = 1 + 32 + 8 + 8 + 8 + MESSAGE_ID_BYTES;

    /// Appends version ‖ sender ‖ incarnation ‖ time ‖ oldest place ‖ message id.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        out.push(VERSION);
        out.extend_from_slice(self.sender.as_bytes());
        out.extend_from_slice(&self.incarnation.to_be_bytes());
        out.extend_from_slice(&self.created_s.to_be_bytes());
        out.extend_from_slice(&self.oldest.to_be_bytes());
        out.extend_from_slice(&self.message_id);
    }

    /// Takes a header. Returns `None` for another version.
    pub(super) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        if reader.u8()? != VERSION {
            return None;
        }
        Some(Self {
            sender: PeerId::from_bytes(reader.array()?),
            incarnation: reader.u64()?,
            created_s: reader.u64()?,
            oldest: reader.u64()?,
            message_id: reader.array()?,
        })
    }

    /// Returns the message that the sender signs: the head of the outside, the nonce, the receiver and
    /// this header. The signature makes the keys of the letter the sender's; the tag protects the
    /// payload under these keys.
    pub(super) fn signed(&self, head: &[u8], nonce: &DepositNonce, receiver: &PeerId) -> Vec<u8> {
        let mut header = Vec::with_capacity(Self::BYTES);
        self.write(&mut header);
        let fields = [head, nonce.as_bytes(), receiver.as_bytes(), &header];
        label::encode("signed letter", &fields)
    }
}
