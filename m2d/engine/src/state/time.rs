//! What is known of the local clock and of peers' clocks.

use std::time::Instant;

/// A peer's clock, as reported in its last session.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PeerClock {
    pub(crate) unix_ms: u64,
    pub(crate) at: Instant,
}

impl PeerClock {
    /// Returns the clock of a session's peer, if it reported one.
    pub(crate) fn of(skew_ms: Option<i64>, now_ms: u64) -> Option<Self> {
        let skew = skew_ms?;
        Some(Self {
            unix_ms: now_ms.saturating_add_signed(skew),
            at: Instant::now(),
        })
    }

    /// Returns how far this clock is ahead of one that shows `now_ms`, in milliseconds.
    pub(crate) fn ahead_of(&self, now_ms: u64) -> i64 {
        let passed = u64::try_from(self.at.elapsed().as_millis()).unwrap_or(u64::MAX);
        let theirs = i128::from(self.unix_ms.saturating_add(passed));
        i64::try_from(theirs - i128::from(now_ms)).unwrap_or(i64::MAX)
    }
}

/// The engine's state about the local clock.
#[derive(Debug, Default)]
pub(crate) struct TimeKeeping {
    /// The number of clock changes already handled.
    pub(crate) followed: u64,
    /// True if stored times may be wrong. They are corrected once the clock is confirmed.
    pub(crate) redate: bool,
}
