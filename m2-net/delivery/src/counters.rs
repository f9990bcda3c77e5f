//! The counters of a conversation: numbers only, without peers (docs/threat-model.md).

/// Counts since the conversation was created.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Repeated messages that were acknowledged again.
    pub duplicates: u64,
    /// Messages that no open epoch can open.
    pub unopened: u64,
    /// Messages of an open epoch that were altered or forged.
    pub forged: u64,
    /// Key derivations wasted on altered or forged messages.
    pub wasted_derivations: u64,
    /// Inputs refused as [`Misdeed`](super::Misdeed).
    pub misdeeds: u64,
    /// Acknowledgements of messages that are not in the outbox.
    pub unknown_acks: u64,
    /// Acknowledgements of messages that had not yet been offered in the current session.
    pub early_acks: u64,
    /// Epoch refusals that name an epoch or incarnation that is not in use, or that repeat too
    /// soon.
    pub ignored_refusals: u64,
    /// Accepted grants that were not installed because they were not new after all.
    pub unwanted_grants: u64,
    /// Messages sent again because no acknowledgement came in time.
    pub resent: u64,
    /// Messages sealed under a second epoch since the daemon started.
    pub resealed: u64,
    /// Held messages released early because too many were held.
    pub released_early: u64,
    /// New incarnations taken, because a stated place did not fit, a conflict was proven, or the
    /// driver asked for one.
    pub renewed: u64,
    /// Times that nothing was offered because a place did not fit so soon after an earlier one.
    pub withheld: u64,
    /// Times that the cryptography library failed to seal.
    pub seal_failed: u64,
    /// Notices of the peer that are of a later version.
    pub unknown_notices: u64,
    /// Notices of the peer over the rate limit.
    pub dropped_notices: u64,
}

impl Counters {
    /// Returns the sum of two sets of counters.
    pub const fn plus(&self, other: &Self) -> Self {
        Self {
            duplicates: self.duplicates + other.duplicates,
            unopened: self.unopened + other.unopened,
            forged: self.forged + other.forged,
            wasted_derivations: self.wasted_derivations + other.wasted_derivations,
            misdeeds: self.misdeeds + other.misdeeds,
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
            unknown_notices: self.unknown_notices + other.unknown_notices,
            dropped_notices: self.dropped_notices + other.dropped_notices,
        }
    }
}
