//! The context that the driver passes with every input.

use super::id::{ContentHash, MessageId, Time};
use bytes::Bytes;
use m2_crypto::envelope::EpochSecret;
use m2_crypto::{Certificate, Identity, PeerId};
use rand_core::CryptoRng;

/// The time, a source of randomness, both identities, the session and look-ups in the store.
pub struct Context<'a> {
    /// The current time. It should never go backwards; if it does, the machine only waits longer.
    pub now: Time,
    /// Randomness for keys and jitter.
    pub rng: &'a mut dyn CryptoRng,
    /// The local identity.
    pub own: &'a Identity,
    /// The local peer id in this circle.
    pub own_id: PeerId,
    /// The peer's certificate.
    pub peer: &'a Certificate,
    /// The peer's id in this circle.
    pub peer_id: PeerId,
    /// The secret of the session on which messages are offered, for the epochs that this side opens in it.
    /// `None` without a session.
    pub session: Option<&'a mut EpochSecret>,
    /// The look-ups in the store.
    pub history: &'a dyn History,
}

/// Look-ups in the store, by message id.
pub trait History {
    /// Looks the id up in every conversation and in both directions. Must find every id of a
    /// committed [`Write::Deliver`], [`Write::Hold`] and [`Write::Skip`], and every message ever
    /// sent whose id is still stored, tombstones included. It may lag behind writes that are not
    /// yet committed: the machine remembers its own newest ones.
    ///
    /// [`Write::Deliver`]: super::Write::Deliver
    /// [`Write::Hold`]: super::Write::Hold
    /// [`Write::Skip`]: super::Write::Skip
    fn committed(&self, id: &MessageId) -> Option<Committed>;

    /// Returns the payload of a row of the outbox. Must know every [`Write`] that was polled.
    ///
    /// [`Write`]: super::Write
    fn queued(&self, id: &MessageId) -> Queued;
}

/// The payload of a row of the outbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Queued {
    /// The encoded payload.
    Payload(Bytes),
    /// The message's content was deleted since.
    Erased,
    /// There is no such row, or it can't be read now.
    Missing,
}

/// The entry committed under a message id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Committed {
    /// The peer id of the other side of the conversation.
    pub peer: PeerId,
    /// True if the peer sent the message, false if this side did.
    pub received: bool,
    /// For a received message, the incarnation given in the committed write; 0 for a sent message.
    pub incarnation: u64,
    /// The content hash given in the committed write.
    pub hash: ContentHash,
}
