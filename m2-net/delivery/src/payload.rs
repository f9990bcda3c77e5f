//! A message's plaintext, parsed once and strictly (docs/spec/delivery.md#payload).

use super::id::{ContentHash, MessageId, Time};
use bytes::Buf as _;
use bytes::Bytes;
use m2_crypto::envelope::content_hash;
use m2_proto::wire::v1 as wire;
use prost::Message;
use prost::encoding::{DecodeContext, decode_key, skip_field};
use thiserror::Error;

/// The longest content of one message, in bytes: 48 KiB.
pub const MAX_CONTENT: usize = 48 * 1024;
/// The longest media type, in bytes.
pub const MAX_MEDIA_TYPE: usize = 127;
/// The longest text of a reaction, in bytes.
pub const MAX_REACTION: usize = 64;
/// The largest number of messages that one [`Body::Read`] names.
pub const MAX_READ: usize = 256;
/// The highest sequence number: its successor still fits a signed 64-bit column.
pub const MAX_SEQUENCE: u64 = (1 << 63) - 2;
/// The longest encoded payload, in bytes: content, media type and room for the fields around them.
pub const MAX_PAYLOAD: usize = MAX_CONTENT + 1024;

/// Numbers of the fields of a payload.
const SEQUENCE: u32 = 1;
const SENT_MS: u32 = 2;

/// A parsed `m2.wire.v1.Payload`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payload {
    /// The message's number in its conversation: 1 to [`MAX_SEQUENCE`].
    pub sequence: u64,
    /// The time of sending, by the sender's clock.
    pub sent: Time,
    /// Time to live in seconds from `sent`; 0 if the message has none.
    pub ttl_s: u32,
    /// The body.
    pub body: Body,
    /// The encoded time to live and body as the sender wrote them, if they hold more than this version
    /// knows.
    pub as_sent: Option<Bytes>,
}

/// The body of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// Text or bytes.
    Content(Content),
    /// Replaces the content of an earlier message of the same author.
    Edit {
        /// The message to change.
        target: MessageId,
        /// The new content.
        content: Content,
    },
    /// Deletes an earlier message of the same author for everyone.
    Retract {
        /// The message to delete.
        target: MessageId,
    },
    /// Marks messages of the other side as read: 1 to [`MAX_READ`].
    Read {
        /// The messages that were read.
        targets: Vec<MessageId>,
    },
    /// Fills the place of a message that its sender gave up. Created only by the state machine.
    Skip,
    /// Sets the sender's reaction to a message of either side.
    Reaction {
        /// The message.
        target: MessageId,
        /// At most [`MAX_REACTION`] bytes; empty for no reaction.
        text: String,
    },
    /// A body of a later version. Only received.
    Unknown,
}

/// A media type and the bytes it describes, within their limits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    media_type: String,
    data: Bytes,
    reply_to: Option<MessageId>,
    thread: Option<MessageId>,
}

impl Content {
    /// Creates content from a media type and bytes.
    ///
    /// Errors: [`PayloadError::MediaType`] over [`MAX_MEDIA_TYPE`] bytes,
    /// [`PayloadError::TooLarge`] over [`MAX_CONTENT`].
    pub fn new(
        media_type: impl Into<String>,
        data: impl Into<Bytes>,
    ) -> Result<Self, PayloadError> {
        let (media_type, data) = (media_type.into(), data.into());
        if media_type.len() > MAX_MEDIA_TYPE {
            return Err(PayloadError::MediaType);
        }
        if data.len() > MAX_CONTENT {
            return Err(PayloadError::TooLarge);
        }
        Ok(Self {
            media_type,
            data,
            reply_to: None,
            thread: None,
        })
    }

    /// Sets the message to which this one replies, and the first message of its thread.
    #[must_use]
    pub const fn about(mut self, reply_to: Option<MessageId>, thread: Option<MessageId>) -> Self {
        self.reply_to = reply_to;
        self.thread = thread;
        self
    }

    /// Returns the message to which this one replies, if any.
    pub const fn reply_to(&self) -> Option<MessageId> {
        self.reply_to
    }

    /// Returns the first message of the thread to which this one belongs, if any.
    pub const fn thread(&self) -> Option<MessageId> {
        self.thread
    }

    /// Returns the media type. Empty means `text/plain;charset=utf-8`.
    pub fn media_type(&self) -> &str {
        &self.media_type
    }

    /// Returns the content's bytes.
    pub const fn data(&self) -> &Bytes {
        &self.data
    }

    fn to_wire(&self) -> wire::Content {
        wire::Content {
            media_type: self.media_type.clone(),
            data: self.data.clone(),
            reply_to: optional_to_wire(self.reply_to),
            thread: optional_to_wire(self.thread),
        }
    }
}

/// A message from a front-end. The machine adds sequence number and time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// Any body except [`Body::Skip`] and [`Body::Unknown`], which are refused.
    pub body: Body,
    /// Time to live in seconds; 0 for no expiry.
    pub ttl_s: u32,
}

/// Why bytes are not a valid payload, or why a body can't be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PayloadError {
    /// The content is longer than [`MAX_CONTENT`], or the encoded payload longer than
    /// [`MAX_PAYLOAD`].
    #[error("the content is longer than 48 KiB")]
    TooLarge,
    /// The bytes are not the expected protobuf message, or there is no body.
    #[error("the payload does not have the expected encoding")]
    Encoding,
    /// The sequence number is 0 or above [`MAX_SEQUENCE`].
    #[error("the sequence number is out of range")]
    Sequence,
    /// The oldest place that a letter names is 0, or above that of its message.
    #[error("the letter's oldest place is not one up to the message's own")]
    Oldest,
    /// The media type is longer than [`MAX_MEDIA_TYPE`] bytes.
    #[error("the media type is longer than 127 bytes")]
    MediaType,
    /// A message id is not 16 bytes long.
    #[error("a message id is not 16 bytes long")]
    MessageId,
    /// A read receipt names no message, or more than [`MAX_READ`].
    #[error("a read receipt names 1 to 256 messages")]
    ReadCount,
    /// The text of a reaction is longer than [`MAX_REACTION`] bytes.
    #[error("a reaction has at most 64 bytes")]
    Reaction,
    /// A skip or an unknown body in a draft, or a skip with a time to live.
    #[error("a body of this kind can't be sent like this")]
    Skip,
    /// A notice with a place or a time to live.
    #[error("a notice has neither a place nor a time to live")]
    Notice,
}

impl Payload {
    /// Parses the plaintext of a message. The content shares its buffer and is not copied.
    ///
    /// Errors: [`PayloadError`] if it is no message, also if it is a notice.
    pub fn parse(plaintext: Bytes) -> Result<Self, PayloadError> {
        let payload = decode(&plaintext)?;
        Self::from_wire(payload, &plaintext)
    }

    /// Reads a decoded message.
    pub(super) fn from_wire(
        payload: wire::Payload,
        plaintext: &Bytes,
    ) -> Result<Self, PayloadError> {
        if payload.sequence == 0 || payload.sequence > MAX_SEQUENCE {
            return Err(PayloadError::Sequence);
        }
        let said = said_in(plaintext).ok_or(PayloadError::Encoding)?;
        let body = payload.body.map_or(Ok(Body::Unknown), Body::from_wire)?;
        if body == Body::Skip && payload.ttl_s != 0 {
            return Err(PayloadError::Skip);
        }
        let mut parsed = Self {
            sequence: payload.sequence,
            sent: Time(payload.sent_ms),
            ttl_s: payload.ttl_s,
            body,
            as_sent: None,
        };
        if parsed.said() != said {
            parsed.as_sent = Some(said);
        }
        Ok(parsed)
    }

    /// Returns the encoded plaintext to seal.
    pub fn encode(&self) -> Vec<u8> {
        let mut payload = wire::Payload {
            sequence: self.sequence,
            sent_ms: self.sent.0,
            ttl_s: self.ttl_s,
            body: self.body.to_wire(),
        };
        let Some(said) = &self.as_sent else {
            return payload.encode_to_vec();
        };
        (payload.ttl_s, payload.body) = (0, None);
        let mut encoded = payload.encode_to_vec();
        encoded.extend_from_slice(said);
        encoded
    }

    /// Returns what the hash covers: time to live and body, as they were sent.
    fn said(&self) -> Bytes {
        let canonical = || wire::Payload {
            ttl_s: self.ttl_s,
            body: self.body.to_wire(),
            ..wire::Payload::default()
        };
        let as_sent = self.as_sent.clone();
        as_sent.unwrap_or_else(|| canonical().encode_to_vec().into())
    }

    /// Returns the hash that an acknowledgement of this message names: the content hash of its id,
    /// its time to live and its body as it was sent.
    pub fn hash(&self, id: &MessageId) -> ContentHash {
        ContentHash(content_hash(&id.0, &self.said()))
    }

    /// Returns the hash of a SKIP in the place of the message `id`.
    pub fn skip_hash(id: &MessageId) -> ContentHash {
        let skip = Self {
            sequence: 0,
            sent: Time(0),
            ttl_s: 0,
            body: Body::Skip,
            as_sent: None,
        };
        skip.hash(id)
    }

    /// Returns when the message expires, if it has a time to live: both sides delete it then.
    pub fn expires(&self) -> Option<Time> {
        (self.ttl_s != 0).then(|| self.sent.plus(u64::from(self.ttl_s) * 1_000))
    }
}

impl Body {
    fn from_wire(body: wire::payload::Body) -> Result<Self, PayloadError> {
        use wire::payload::Body as Wire;
        Ok(match body {
            Wire::Content(content) => Self::Content(content_from_wire(content)?),
            Wire::Edit(edit) => Self::Edit {
                target: id_from_wire(&edit.message_id)?,
                content: content_from_wire(edit.content.ok_or(PayloadError::Encoding)?)?,
            },
            Wire::Retract(retract) => Self::Retract {
                target: id_from_wire(&retract.message_id)?,
            },
            Wire::Read(read) => Self::read(&read.message_ids)?,
            Wire::Skip(wire::Skip {}) => Self::Skip,
            Wire::Reaction(reaction) => Self::Reaction {
                target: id_from_wire(&reaction.message_id)?,
                text: reaction_text(reaction.text)?,
            },
            Wire::Typing(_) => return Err(PayloadError::Notice),
        })
    }

    fn read(ids: &[Bytes]) -> Result<Self, PayloadError> {
        check_read_count(ids.len())?;
        let targets: Result<Vec<MessageId>, PayloadError> =
            ids.iter().map(|id| id_from_wire(id)).collect();
        Ok(Self::Read { targets: targets? })
    }

    /// Returns the body as it is sent; `None` for an unknown one.
    fn to_wire(&self) -> Option<wire::payload::Body> {
        use wire::payload::Body as Wire;
        Some(match self {
            Self::Content(content) => Wire::Content(content.to_wire()),
            Self::Edit { target, content } => Wire::Edit(wire::Edit {
                message_id: id_to_wire(target),
                content: Some(content.to_wire()),
            }),
            Self::Retract { target } => Wire::Retract(wire::Retract {
                message_id: id_to_wire(target),
            }),
            Self::Read { targets } => Wire::Read(wire::Read {
                message_ids: targets.iter().map(id_to_wire).collect(),
            }),
            Self::Skip => Wire::Skip(wire::Skip {}),
            Self::Reaction { target, text } => Wire::Reaction(wire::Reaction {
                message_id: id_to_wire(target),
                text: text.clone(),
            }),
            Self::Unknown => return None,
        })
    }

    /// Checks that a draft may have this body.
    pub(super) fn check_draft(&self) -> Result<(), PayloadError> {
        match self {
            Self::Skip | Self::Unknown => Err(PayloadError::Skip),
            Self::Reaction { text, .. } if text.len() > MAX_REACTION => Err(PayloadError::Reaction),
            Self::Reaction { .. } => Ok(()),
            Self::Read { targets } => check_read_count(targets.len()),
            Self::Content(_) | Self::Edit { .. } | Self::Retract { .. } => Ok(()),
        }
    }
}

const fn check_read_count(count: usize) -> Result<(), PayloadError> {
    if count == 0 || count > MAX_READ {
        return Err(PayloadError::ReadCount);
    }
    Ok(())
}

/// Decodes a plaintext without checking its fields.
pub(super) fn decode(plaintext: &Bytes) -> Result<wire::Payload, PayloadError> {
    if plaintext.len() > MAX_PAYLOAD {
        return Err(PayloadError::TooLarge);
    }
    wire::Payload::decode(plaintext.clone()).map_err(|_| PayloadError::Encoding)
}

/// Returns the fields of an encoded payload that its hash covers: all but sequence and time,
/// in the order in which they were sent. `None` unless exactly one of them is a body.
pub(super) fn said_in(plaintext: &Bytes) -> Option<Bytes> {
    let mut said = Vec::with_capacity(plaintext.len());
    let (mut rest, mut bodies) = (plaintext.clone(), 0_u32);
    while rest.has_remaining() {
        let field = rest.clone();
        let (number, kind) = decode_key(&mut rest).ok()?;
        skip_field(kind, number, &mut rest, DecodeContext::default()).ok()?;
        bodies = bodies.saturating_add(u32::from(is_body(number)));
        if !matches!(number, SEQUENCE | SENT_MS) {
            let length = field.len().checked_sub(rest.len())?;
            said.extend_from_slice(field.get(..length)?);
        }
    }
    (bodies == 1).then(|| said.into())
}

/// Returns whether a field is a body, known or of a later version.
const fn is_body(number: u32) -> bool {
    matches!(number, 4..=8 | 10..=31)
}

fn reaction_text(text: String) -> Result<String, PayloadError> {
    match text.len() > MAX_REACTION {
        true => Err(PayloadError::Reaction),
        false => Ok(text),
    }
}

fn content_from_wire(content: wire::Content) -> Result<Content, PayloadError> {
    let reply_to = optional_from_wire(&content.reply_to)?;
    let thread = optional_from_wire(&content.thread)?;
    Ok(Content::new(content.media_type, content.data)?.about(reply_to, thread))
}

fn optional_from_wire(bytes: &[u8]) -> Result<Option<MessageId>, PayloadError> {
    match bytes.is_empty() {
        true => Ok(None),
        false => id_from_wire(bytes).map(Some),
    }
}

fn optional_to_wire(id: Option<MessageId>) -> Bytes {
    id.as_ref().map_or_else(Bytes::new, id_to_wire)
}

fn id_from_wire(bytes: &[u8]) -> Result<MessageId, PayloadError> {
    MessageId::try_from(bytes).map_err(|_| PayloadError::MessageId)
}

fn id_to_wire(id: &MessageId) -> Bytes {
    Bytes::copy_from_slice(&id.0)
}

#[cfg(test)]
mod tests;
