//! The basic types of delivery: times, message ids, content hashes, paths.

use std::fmt;

/// A point in time provided by the driver: Unix time in milliseconds. The machine never reads a
/// clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Time(pub u64);

impl Time {
    /// Returns the time in whole seconds, the unit of epochs.
    pub const fn seconds(self) -> u64 {
        self.0 / 1_000
    }

    /// Returns the time `millis` milliseconds later. Saturates.
    pub const fn plus(self, millis: u64) -> Self {
        Self(self.0.saturating_add(millis))
    }

    /// Returns the milliseconds from `earlier` to `self`; 0 if the clock went backwards.
    pub const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// A message id: 128 random bits, chosen by the author and kept over every retry, epoch and
/// incarnation (docs/spec/delivery.md#ids-and-hashes).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MessageId(pub [u8; 16]);

impl MessageId {
    /// Returns the id's 16 bytes.
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

/// The SHA-256 that an acknowledgement names in addition to the message id. It covers the body and
/// the time to live, but not sequence number and time, so that a message sent again in another
/// incarnation is recognised (docs/spec/delivery.md#ids-and-hashes).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ContentHash(pub [u8; 32]);

impl ContentHash {
    /// Returns the hash's 32 bytes.
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

/// A field of fixed size has the wrong length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a field has the wrong length")]
pub struct WrongLength;

/// How a session reaches the peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Path {
    /// From socket to socket.
    Direct,
    /// Through one or more relays.
    Line,
}

/// An acknowledgement: the receiver has committed `hash` under `id`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ack {
    /// The acknowledged message.
    pub id: MessageId,
    /// The content hash that was committed.
    pub hash: ContentHash,
}

impl Ack {
    /// Parses one acknowledgement of a frame.
    ///
    /// Errors: [`WrongLength`] if the id is not 16 bytes or the hash is not 32 bytes.
    pub fn from_wire(ack: &m2_proto::wire::v1::Ack) -> Result<Self, WrongLength> {
        Ok(Self {
            id: MessageId::try_from(ack.message_id.as_ref())?,
            hash: ContentHash::try_from(ack.content_hash.as_ref())?,
        })
    }

    /// Returns the acknowledgement as a wire message.
    pub fn to_wire(self) -> m2_proto::wire::v1::Ack {
        m2_proto::wire::v1::Ack {
            message_id: bytes::Bytes::copy_from_slice(&self.id.0),
            content_hash: bytes::Bytes::copy_from_slice(&self.hash.0),
        }
    }
}
