//! A message's plaintext, parsed once and strictly (spec §6, docs/spec/delivery.md).

use super::id::{ContentHash, MessageId, Time};
use bytes::Bytes;
use m2_crypto::envelope::content_hash;
use m2_proto::wire::v1 as wire;
use prost::Message;
use thiserror::Error;

/// The longest content of one message: 48 KiB (spec §6).
pub const MAX_CONTENT: usize = 48 * 1024;
/// The longest media type, in bytes.
pub const MAX_MEDIA_TYPE: usize = 127;
/// The most messages that one [`Body::Read`] names.
pub const MAX_READ: usize = 256;
/// The highest sequence number: one that fits a signed 64-bit column with its successor.
pub const MAX_SEQUENCE: u64 = (1 << 63) - 2;
/// No encoded payload is longer: content, media type and room for the fields around them.
pub const MAX_PAYLOAD: usize = MAX_CONTENT + 1024;

/// A parsed `m2.wire.v1.Payload`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payload {
    /// The message's number in this conversation and incarnation: 1 to [`MAX_SEQUENCE`].
    pub sequence: u64,
    /// When it was sent, by the sender's clock.
    pub sent: Time,
    /// Time to live in seconds from `sent`; 0 for none.
    pub ttl_s: u32,
    /// What is said.
    pub body: Body,
    /// In a letter: the oldest place that its sender still offered when it sealed the letter, at
    /// most `sequence`; else 0.
    pub oldest: u64,
}

/// What a message says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// Text or bytes.
    Content(Content),
    /// Replaces the content of an earlier message of the same author.
    Edit {
        /// The message to change.
        target: MessageId,
        /// Its new content.
        content: Content,
    },
    /// Deletes an earlier message of the same author for everyone.
    Retract {
        /// The message to delete.
        target: MessageId,
    },
    /// The reader has seen these messages of the other side: 1 to [`MAX_READ`].
    Read {
        /// The messages.
        targets: Vec<MessageId>,
    },
    /// Stands in the place of a message that its sender gave up. Only the machine makes it.
    Skip,
}

/// A media type and the bytes it describes, within their limits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    media_type: String,
    data: Bytes,
}

impl Content {
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
        Ok(Self { media_type, data })
    }

    /// Empty means `text/plain;charset=utf-8`.
    pub fn media_type(&self) -> &str {
        &self.media_type
    }

    /// The bytes.
    pub const fn data(&self) -> &Bytes {
        &self.data
    }

    fn to_wire(&self) -> wire::Content {
        wire::Content {
            media_type: self.media_type.clone(),
            data: self.data.clone(),
        }
    }
}

/// What a front-end wants said. The machine adds sequence number and time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// Anything but [`Body::Skip`], which is refused.
    pub body: Body,
    /// Time to live in seconds; 0 for none.
    pub ttl_s: u32,
}

/// Why bytes are no payload, or why a body can't be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PayloadError {
    /// Longer than [`MAX_CONTENT`] or, encoded, than [`MAX_PAYLOAD`].
    #[error("the content is longer than 48 KiB")]
    TooLarge,
    /// Not the protobuf message that was expected, or a body that this version doesn't know.
    #[error("the payload has not the expected encoding")]
    Encoding,
    /// A sequence number of 0 or over [`MAX_SEQUENCE`].
    #[error("the sequence number is out of range")]
    Sequence,
    /// A letter whose oldest place is above its own.
    #[error("the oldest place is above the message's own")]
    Oldest,
    /// Over [`MAX_MEDIA_TYPE`] bytes.
    #[error("the media type is longer than 127 bytes")]
    MediaType,
    /// A message id that has not 16 bytes.
    #[error("a message id has not 16 bytes")]
    MessageId,
    /// None or more than [`MAX_READ`] messages marked as read at once.
    #[error("a read receipt names 1 to 256 messages")]
    ReadCount,
    /// A skip in a draft, or a skip with a time to live.
    #[error("a skip can't be sent like this")]
    Skip,
}

impl Payload {
    /// Parses a plaintext. Borrows from it, so that content isn't copied.
    pub fn parse(plaintext: Bytes) -> Result<Self, PayloadError> {
        if plaintext.len() > MAX_PAYLOAD {
            return Err(PayloadError::TooLarge);
        }
        let payload = wire::Payload::decode(plaintext).map_err(|_| PayloadError::Encoding)?;
        if payload.sequence == 0 || payload.sequence > MAX_SEQUENCE {
            return Err(PayloadError::Sequence);
        }
        if payload.oldest > payload.sequence {
            return Err(PayloadError::Oldest);
        }
        let body = Body::from_wire(payload.body.ok_or(PayloadError::Encoding)?)?;
        if body == Body::Skip && payload.ttl_s != 0 {
            return Err(PayloadError::Skip);
        }
        Ok(Self {
            sequence: payload.sequence,
            sent: Time(payload.sent_ms),
            ttl_s: payload.ttl_s,
            body,
            oldest: payload.oldest,
        })
    }

    /// The plaintext to seal.
    pub fn encode(&self) -> Vec<u8> {
        wire::Payload {
            sequence: self.sequence,
            sent_ms: self.sent.0,
            ttl_s: self.ttl_s,
            body: Some(self.body.to_wire()),
            oldest: self.oldest,
        }
        .encode_to_vec()
    }

    /// What an acknowledgement of this message names: the content hash of its id and of the
    /// canonical encoding with sequence and time left out.
    pub fn hash(&self, id: &MessageId) -> ContentHash {
        let content = wire::Payload {
            ttl_s: self.ttl_s,
            body: Some(self.body.to_wire()),
            ..wire::Payload::default()
        };
        ContentHash(content_hash(&id.0, &content.encode_to_vec()))
    }

    /// The hash of a SKIP in the place of the message `id`.
    pub fn skip_hash(id: &MessageId) -> ContentHash {
        let skip = Self {
            sequence: 0,
            sent: Time(0),
            ttl_s: 0,
            body: Body::Skip,
            oldest: 0,
        };
        skip.hash(id)
    }

    /// When it ends, if it has a time to live: both sides delete it then.
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
        })
    }

    fn read(ids: &[Bytes]) -> Result<Self, PayloadError> {
        check_read_count(ids.len())?;
        let targets: Result<Vec<MessageId>, PayloadError> =
            ids.iter().map(|id| id_from_wire(id)).collect();
        Ok(Self::Read { targets: targets? })
    }

    fn to_wire(&self) -> wire::payload::Body {
        use wire::payload::Body as Wire;
        match self {
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
        }
    }

    /// Whether a draft may say this.
    pub(super) fn check_draft(&self) -> Result<(), PayloadError> {
        match self {
            Self::Skip => Err(PayloadError::Skip),
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

fn content_from_wire(content: wire::Content) -> Result<Content, PayloadError> {
    Content::new(content.media_type, content.data)
}

fn id_from_wire(bytes: &[u8]) -> Result<MessageId, PayloadError> {
    MessageId::try_from(bytes).map_err(|_| PayloadError::MessageId)
}

fn id_to_wire(id: &MessageId) -> Bytes {
    Bytes::copy_from_slice(&id.0)
}
