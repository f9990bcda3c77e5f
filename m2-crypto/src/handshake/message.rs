//! Message framing: a type byte, the body's length in 2 bytes, the body
//! (docs/spec/handshake.md#framing).

use super::error::PeerMisbehaved;
use std::fmt;

/// Maximum length of any message's body, in bytes.
pub const MAX_BODY: usize = 4096;

const HEADER: usize = 3;

/// The five messages of the table in [`super`]. The two proofs have distinct types, so that neither
/// can be replayed as the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MessageKind {
    /// Message 1.
    Hello,
    /// Message 2.
    HelloReply,
    /// Message 3.
    KeyReturn,
    /// Message 4.
    ResponderProof,
    /// Message 5.
    InitiatorProof,
}

impl MessageKind {
    /// Returns the type byte.
    pub const fn byte(self) -> u8 {
        match self {
            Self::Hello => 1,
            Self::HelloReply => 2,
            Self::KeyReturn => 3,
            Self::ResponderProof => 4,
            Self::InitiatorProof => 5,
        }
    }

    const fn from_byte(byte: u8) -> Option<Self> {
        Some(match byte {
            1 => Self::Hello,
            2 => Self::HelloReply,
            3 => Self::KeyReturn,
            4 => Self::ResponderProof,
            5 => Self::InitiatorProof,
            _ => return None,
        })
    }
}

/// One complete message with its framing. The body is not parsed yet.
#[derive(Clone, PartialEq, Eq)]
pub struct Message {
    kind: MessageKind,
    bytes: Vec<u8>,
}

impl Message {
    /// Frames a body. This crate builds all bodies, and they are far below [`MAX_BODY`].
    pub(super) fn new(kind: MessageKind, body: &[u8]) -> Self {
        debug_assert!(body.len() <= MAX_BODY);
        let mut bytes = Vec::with_capacity(HEADER + body.len());
        bytes.push(kind.byte());
        bytes.extend_from_slice(&(body.len() as u16).to_be_bytes());
        bytes.extend_from_slice(body);
        Self { kind, bytes }
    }

    /// Returns the message's type.
    pub const fn kind(&self) -> MessageKind {
        self.kind
    }

    /// Returns framing and body, as sent on the wire and hashed into the transcript.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Returns the body if the message has the expected type.
    pub(super) fn expect(&self, kind: MessageKind) -> Result<&[u8], PeerMisbehaved> {
        if self.kind != kind {
            return Err(PeerMisbehaved::UnexpectedMessage);
        }
        self.bytes.get(HEADER..).ok_or(PeerMisbehaved::Malformed)
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Message({:?}, {} bytes)", self.kind, self.bytes.len())
    }
}

/// Reassembles messages from a byte stream. Buffers at most one message.
///
/// Every handshake message must be answered before its sender may send the next, and keys change in
/// between. A byte that follows a complete message is therefore rejected, so that no data sent
/// under old keys is accepted as data under new ones.
#[derive(Debug, Default)]
pub struct MessageReader {
    buffer: Vec<u8>,
}

impl MessageReader {
    /// Creates an empty reader.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends the next bytes of the stream. Returns the message that they complete, if any.
    pub fn push(&mut self, bytes: &[u8]) -> Result<Option<Message>, PeerMisbehaved> {
        if self.buffer.len().saturating_add(bytes.len()) > HEADER + MAX_BODY {
            return Err(PeerMisbehaved::TooLong);
        }
        self.buffer.extend_from_slice(bytes);
        let Some(first) = self.buffer.first() else {
            return Ok(None);
        };
        let kind = MessageKind::from_byte(*first).ok_or(PeerMisbehaved::Malformed)?;
        let Some([_, high, low]) = self.buffer.first_chunk::<HEADER>() else {
            return Ok(None);
        };
        let body = usize::from(u16::from_be_bytes([*high, *low]));
        if body > MAX_BODY {
            return Err(PeerMisbehaved::TooLong);
        }
        match self.buffer.len().cmp(&(HEADER + body)) {
            std::cmp::Ordering::Less => Ok(None),
            std::cmp::Ordering::Greater => Err(PeerMisbehaved::TrailingData),
            std::cmp::Ordering::Equal => Ok(Some(Message {
                kind,
                bytes: std::mem::take(&mut self.buffer),
            })),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_reassembled_from_pieces_of_any_size() {
        let message = Message::new(MessageKind::KeyReturn, &[7; 256]);
        for piece in 1..message.bytes().len() {
            let mut reader = MessageReader::new();
            let mut out = Vec::new();
            for bytes in message.bytes().chunks(piece) {
                out.extend(reader.push(bytes).unwrap());
            }
            assert_eq!(out, std::slice::from_ref(&message));
        }
    }

    #[test]
    fn malformed_and_overlong_framing_is_rejected() {
        let push = |bytes: &[u8]| MessageReader::new().push(bytes);
        assert_eq!(push(&[]), Ok(None));
        assert_eq!(push(&[0]), Err(PeerMisbehaved::Malformed));
        assert_eq!(push(&[6]), Err(PeerMisbehaved::Malformed));
        assert_eq!(push(&[1, 0x10, 0x01]), Err(PeerMisbehaved::TooLong));
        assert_eq!(push(&[1; 5000]), Err(PeerMisbehaved::TooLong));
        assert_eq!(push(&[1, 0, 1, 9, 9]), Err(PeerMisbehaved::TrailingData));
        assert!(push(&[1, 0, 0]).unwrap().is_some());
    }

    #[test]
    fn debug_shows_no_content() {
        let message = Message::new(MessageKind::Hello, &[7; 3]);
        assert_eq!(format!("{message:?}"), "Message(Hello, 6 bytes)");
    }
}
