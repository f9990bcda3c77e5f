//! The small values that delivery speaks of: times, message ids, content hashes, paths.

use std::fmt;

/// A point in time that the driver gives: Unix time in milliseconds. The machine never reads a
/// clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Time(pub u64);

impl Time {
    /// Whole seconds, as epochs count them.
    pub const fn seconds(self) -> u64 {
        self.0 / 1_000
    }

    /// `self` moved on by `millis`, at most to the end of time.
    pub const fn plus(self, millis: u64) -> Self {
        Self(self.0.saturating_add(millis))
    }

    /// Milliseconds from `earlier` to `self`; 0 if the clock went back.
    pub const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// A message's 128 random bits, chosen by its author, the same over every retry, epoch and
/// incarnation (spec §6).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MessageId(pub [u8; 16]);

impl MessageId {
    /// The id's 16 bytes.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl TryFrom<&[u8]> for MessageId {
    type Error = WrongLength;

    fn try_from(bytes: &[u8]) -> Result<Self, WrongLength> {
        bytes.try_into().map(Self).map_err(|_| WrongLength)
    }
}

impl fmt::Debug for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MessageId(..)")
    }
}

/// What an acknowledgement names beside the message id: SHA-256 over what was said and for how
/// long, but not over sequence number and time, so that a message sent again in another
/// incarnation is recognised (docs/spec/delivery.md).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ContentHash(pub [u8; 32]);

impl ContentHash {
    /// The hash's 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl TryFrom<&[u8]> for ContentHash {
    type Error = WrongLength;

    fn try_from(bytes: &[u8]) -> Result<Self, WrongLength> {
        bytes.try_into().map(Self).map_err(|_| WrongLength)
    }
}

impl fmt::Debug for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ContentHash(..)")
    }
}

/// A field of fixed size has another size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a field has not the length that it must have")]
pub struct WrongLength;

/// How a session reaches the peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Path {
    /// From socket to socket.
    Direct,
    /// Through one or more middle-men.
    Line,
}

/// One acknowledgement: the receiver has committed `hash` under `id`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ack {
    /// The message.
    pub id: MessageId,
    /// What was committed.
    pub hash: ContentHash,
}

impl Ack {
    /// Parses one acknowledgement of a frame.
    pub fn from_wire(ack: &m2_proto::wire::v1::Ack) -> Result<Self, WrongLength> {
        Ok(Self {
            id: MessageId::try_from(ack.message_id.as_ref())?,
            hash: ContentHash::try_from(ack.content_hash.as_ref())?,
        })
    }

    /// The acknowledgement as it travels.
    pub fn to_wire(self) -> m2_proto::wire::v1::Ack {
        m2_proto::wire::v1::Ack {
            message_id: bytes::Bytes::copy_from_slice(&self.id.0),
            content_hash: bytes::Bytes::copy_from_slice(&self.hash.0),
        }
    }
}
