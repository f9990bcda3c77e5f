//! The bounds of a conversation. Tests shrink them; daemons use the default.

/// Milliseconds in an hour.
const HOUR: u64 = 60 * 60 * 1_000;

/// Every number that bounds a conversation (spec §5, §6). Times are milliseconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Messages that wait for their acknowledgement, in all.
    pub max_outbox: usize,
    /// How far, in sequence numbers, the newest message under way may be ahead of the oldest
    /// unacknowledged one. Not above `max_held`, or the receiver can't keep the order.
    pub window: u64,
    /// Messages that overtook others and wait for them.
    pub max_held: usize,
    /// How long they wait.
    pub hold: u64,
    /// Messages sealed under one epoch, at most 10,000.
    pub epoch_messages: u32,
    /// How long an epoch seals new messages.
    pub epoch_age: u64,
    /// How long a grant that nothing acknowledged is offered: less than the 15 days for which
    /// receivers accept it.
    pub grant_offer: u64,
    /// The least time between two epochs that the peer's refusals made necessary, and between
    /// two refusals of one epoch.
    pub refusal_interval: u64,
    /// The least time between two incarnations that a place which did not fit made necessary.
    pub renewal_interval: u64,
    /// Grants looked at in a minute: what one peer can make us spend on RSA.
    pub grants_per_minute: u32,
    /// Key derivations that one peer can make us waste at once on envelopes that do not open, and
    /// how many more each second. A peer that lost its state and seals again under keys that it
    /// has used wastes 2,048 steps and a check for each message of its window.
    pub wasted_burst: u32,
    /// See [`Self::wasted_burst`].
    pub wasted_per_second: u32,
    /// Receive epochs open at once for one incarnation.
    pub open_epochs: usize,
    /// Incarnations of the peer with open epochs.
    pub open_incarnations: usize,
    /// Incarnations of the peer of which something is kept. A further one takes the room of the
    /// one that was not used for longest.
    pub max_incarnations: usize,
    /// The first wait for an acknowledgement on a live session. Doubles with every repeat.
    pub resend_first: u64,
    /// The longest wait.
    pub resend_most: u64,
    /// Payloads asked for, to be sealed again, at once.
    pub max_loading: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_outbox: 100_000,
            window: 1_024,
            max_held: 1_024,
            hold: 24 * HOUR,
            epoch_messages: 10_000,
            epoch_age: 24 * HOUR,
            grant_offer: 14 * 24 * HOUR,
            refusal_interval: 10_000,
            renewal_interval: HOUR,
            grants_per_minute: 60,
            wasted_burst: 8_192,
            wasted_per_second: 16,
            open_epochs: 4,
            open_incarnations: 4,
            max_incarnations: 64,
            resend_first: 30_000,
            resend_most: 600_000,
            max_loading: 64,
        }
    }
}
