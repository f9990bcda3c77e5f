//! What the driver gives with every input.

use super::id::{ContentHash, MessageId, Time};
use m2_crypto::{Certificate, Identity, PeerId};
use rand_core::CryptoRng;

/// Time, randomness, the two identities and what is already committed.
pub struct Context<'a> {
    /// Now. It should never go back; if it does, the machine only waits longer.
    pub now: Time,
    /// Randomness for keys and jitter.
    pub rng: &'a mut dyn CryptoRng,
    /// The own identity.
    pub own: &'a Identity,
    /// Its id in this circle.
    pub own_id: PeerId,
    /// The peer's certificate.
    pub peer: &'a Certificate,
    /// Its id in this circle.
    pub peer_id: PeerId,
    /// Look-up of what is committed.
    pub history: &'a dyn History,
}

/// What is already committed under a message id.
pub trait History {
    /// Looks in every conversation and both directions. Must find every id of a committed
    /// [`Write::Deliver`], [`Write::Hold`] and [`Write::Skip`] and of every message ever sent
    /// that is still known, tombstones too. It may lag behind writes that are not yet
    /// committed: the machine remembers its own newest ones.
    ///
    /// [`Write::Deliver`]: super::Write::Deliver
    /// [`Write::Hold`]: super::Write::Hold
    /// [`Write::Skip`]: super::Write::Skip
    fn committed(&self, id: &MessageId) -> Option<Committed>;
}

/// What is committed under an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Committed {
    /// The other side of the conversation.
    pub peer: PeerId,
    /// Whether the peer sent it.
    pub received: bool,
    /// The incarnation that came with the write, for a received message; else 0.
    pub incarnation: u64,
    /// The hash as it came with the write.
    pub hash: ContentHash,
}
