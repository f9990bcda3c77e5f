//! What a conversation counts (spec §10: numbers, nobody's name).

/// Counts since the conversation was made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Messages that came again and were acknowledged again.
    pub duplicates: u64,
    /// Messages that no open epoch opens.
    pub unopened: u64,
    /// Inputs refused as [`Misbehaved`](super::Misbehaved).
    pub misbehaved: u64,
    /// Acknowledgements of messages that are not in the outbox.
    pub unknown_acks: u64,
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
    /// Times that the cryptography library refused to seal.
    pub seal_failed: u64,
}
