//! The plaintext of an envelope: a message or a notice (docs/spec/delivery.md#payload).

use super::notice::Notice;
use super::payload::{Payload, PayloadError, decode, said_in};
use bytes::Bytes;

/// The plaintext of an envelope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Plaintext {
    /// A message, which has a place in the conversation.
    Message(Payload),
    /// A notice, which has none.
    Notice(Notice),
}

impl Plaintext {
    /// Parses a plaintext. The content of a message shares its buffer and is not copied.
    ///
    /// Errors: [`PayloadError`] if it is neither a message nor a notice.
    pub fn parse(plaintext: Bytes) -> Result<Self, PayloadError> {
        let payload = decode(&plaintext)?;
        if payload.sequence != 0 {
            return Payload::from_wire(payload, &plaintext).map(Self::Message);
        }
        said_in(&plaintext).ok_or(PayloadError::Encoding)?;
        Notice::from_wire(payload.body.as_ref(), payload.ttl_s).map(Self::Notice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{MessageId, Time};
    use crate::payload::Body;

    #[test]
    fn a_notice_is_distinguished_from_a_message_by_its_place() {
        for active in [true, false] {
            let notice = Notice::Typing { active };
            let plaintext = Bytes::from(notice.encode().unwrap());
            assert_eq!(
                Plaintext::parse(plaintext.clone()),
                Ok(Plaintext::Notice(notice))
            );
            assert_eq!(Payload::parse(plaintext), Err(PayloadError::Sequence));
        }
        let sent = Payload {
            sequence: 7,
            sent: Time(1_000),
            ttl_s: 60,
            body: Body::Retract {
                target: MessageId([1; 16]),
            },
            as_sent: None,
        };
        let parsed = Plaintext::parse(sent.encode().into());
        assert_eq!(parsed, Ok(Plaintext::Message(sent)));
        // A body of a later version, without a place.
        let unknown = Plaintext::parse(Bytes::from_static(b"\x7a\x03abc"));
        assert_eq!(unknown, Ok(Plaintext::Notice(Notice::Unknown)));
        assert_eq!(Notice::Unknown.encode(), None);
    }

    #[test]
    fn a_notice_with_a_place_or_a_message_without_one_is_malformed() {
        for (bytes, error) in [
            // Typing with place 1, and with a time to live.
            (&b"\x08\x01\x5a\x02\x08\x01"[..], PayloadError::Notice),
            (b"\x18\x3c\x5a\x02\x08\x01", PayloadError::Notice),
            // A skip without a place; nothing; typing twice.
            (b"\x42\x00", PayloadError::Sequence),
            (b"", PayloadError::Encoding),
            (b"\x5a\x00\x5a\x00", PayloadError::Encoding),
        ] {
            let parsed = Plaintext::parse(Bytes::from_static(bytes));
            assert_eq!(parsed, Err(error), "{bytes:x?}");
        }
    }
}
