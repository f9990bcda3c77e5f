//! What a conversation counts (spec §10: numbers, nobody's name).

/// Counts since the conversation was made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Messages that came again and were acknowledged again.
    pub duplicates: u64,
    /// Messages that no open epoch opens.
    pub unopened: u64,
    /// Messages of an open epoch that were altered or forged.
    pub forged: u64,
    /// Key derivations that were wasted on them.
    pub wasted_derivations: u64,
    /// Inputs refused as [`Misbehaved`](super::Misbehaved).
    pub misbehaved: u64,
    /// Acknowledgements of messages that are not in the outbox.
    pub unknown_acks: u64,
    /// Acknowledgements of messages that were not offered in this session yet.
    pub early_acks: u64,
    /// Epoch refusals of an epoch or incarnation that is not in use, or repeated too soon.
    pub ignored_refusals: u64,
    /// Grants that were not worth looking at.
    pub unwanted_grants: u64,
    /// Messages sent again because no acknowledgement came.
    pub resent: u64,
    /// Messages sealed again under another epoch.
    pub resealed: u64,
    /// Held messages released early because too many were held.
    pub released_early: u64,
    /// New incarnations taken because a place of the peer's did not fit or a proof came.
    pub renewed: u64,
    /// Sessions in which nothing was offered, as a place did not fit so soon after another.
    pub withheld: u64,
    /// Times that the cryptography library refused to seal.
    pub seal_failed: u64,
}

impl Counters {
    /// The sum of two counts.
    pub const fn plus(&self, other: &Self) -> Self {
        Self {
            duplicates: self.duplicates + other.duplicates,
            unopened: self.unopened + other.unopened,
            forged: self.forged + other.forged,
            wasted_derivations: self.wasted_derivations + other.wasted_derivations,
            misbehaved: self.misbehaved + other.misbehaved,
            unknown_acks: self.unknown_acks + other.unknown_acks,
            early_acks: self.early_acks + other.early_acks,
            ignored_refusals: self.ignored_refusals + other.ignored_refusals,
            unwanted_grants: self.unwanted_grants + other.unwanted_grants,
            resent: self.resent + other.resent,
            resealed: self.resealed + other.resealed,
            released_early: self.released_early + other.released_early,
            renewed: self.renewed + other.renewed,
            withheld: self.withheld + other.withheld,
            seal_failed: self.seal_failed + other.seal_failed,
        }
    }
}
