//! The limits of a conversation. Tests lower them; daemons use the defaults.

const HOUR: u64 = 60 * 60 * 1_000;

/// The largest number of acknowledgements in one frame.
pub const MAX_ACKS: usize = 1_024;

/// The limits of a conversation (docs/spec/delivery.md#bounds). Times are in milliseconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// The number of messages in the outbox, which all wait for their acknowledgement.
    pub max_outbox: usize,
    /// The distance, in sequence numbers, between the newest message under way and the oldest
    /// unacknowledged one. Must not exceed the receiver's `max_held`, or it can't keep the order.
    pub window: u64,
    /// The number of messages held until the ones before them arrive.
    pub max_held: usize,
    /// How long a held message waits.
    pub hold: u64,
    /// The number of messages sealed under one epoch, at most 1,024.
    pub epoch_messages: u32,
    /// How long an epoch seals new messages.
    pub epoch_age: u64,
    /// The minimum time between two epochs opened because of the peer's refusals, and between two
    /// refusals of one epoch.
    pub refusal_interval: u64,
    /// The minimum time between two incarnations taken because a stated place did not fit.
    pub renewal_interval: u64,
    /// The number of grants processed per minute: limits the RSA operations that one peer can
    /// cause.
    pub grants_per_minute: u32,
    /// The number of key derivations that one peer can make this side waste in a burst on envelopes
    /// that do not open; [`Self::wasted_per_second`] is the refill rate.
    pub wasted_burst: u32,
    /// The refill rate of [`Self::wasted_burst`], in derivations per second.
    pub wasted_per_second: u32,
    /// The number of receive epochs open at once for one incarnation.
    pub open_epochs: usize,
    /// The number of the peer's incarnations with open epochs.
    pub open_incarnations: usize,
    /// The number of the peer's incarnations that are stored. A further one evicts the least
    /// recently used.
    pub max_incarnations: usize,
    /// The first wait for an acknowledgement on a live session. Doubles with every repeat.
    pub resend_first: u64,
    /// The longest wait for an acknowledgement.
    pub resend_most: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_outbox: 100_000,
            window: 1_024,
            max_held: 1_024,
            hold: 24 * HOUR,
            epoch_messages: 1_024,
            epoch_age: HOUR,
            refusal_interval: 10_000,
            renewal_interval: HOUR,
            grants_per_minute: 600,
            wasted_burst: 8_192,
            wasted_per_second: 16,
            open_epochs: 4,
            open_incarnations: 4,
            max_incarnations: 64,
            resend_first: 30_000,
            resend_most: 600_000,
        }
    }
}
