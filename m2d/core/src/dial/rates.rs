//! Rate limits for dials, so that a thousand offline contacts cost little.

use m2_limits::token_bucket::{Rate, TokenBucket};
use std::time::Duration;

/// All dials: 120 a minute, with a burst.
const BURST: u64 = 40;
const EVERY: Duration = Duration::from_millis(500);
/// Repeated dials: ten for each of twelve contacts at once, then one in twelve seconds. With 300
/// offline contacts each is dialled once an hour, which is also the longest pause between two attempts;
/// a contact that comes back online dials this daemon itself.
const REPEATED_BURST: u64 = 120;
const REPEATED_EVERY: Duration = Duration::from_secs(12);

/// The kind of a dial, which determines its rate limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum DialKind {
    /// The first dial after a session, a new address, or a message from the user.
    First,
    /// Another dial after a failed one.
    Repeated,
}

/// The token buckets for dials. Times are steady milliseconds.
#[derive(Debug)]
pub(super) struct DialRates {
    all: TokenBucket,
    repeated: TokenBucket,
}

impl DialRates {
    /// Returns full buckets.
    pub(super) fn new(now_ms: u64) -> Self {
        Self {
            all: TokenBucket::full(BURST, Rate::new(1, EVERY), now_ms),
            repeated: TokenBucket::full(REPEATED_BURST, Rate::new(1, REPEATED_EVERY), now_ms),
        }
    }

    /// Takes a token for one dial. Returns whether there was one.
    pub(super) fn take(&mut self, kind: DialKind, now_ms: u64) -> bool {
        if !self.wait(kind, now_ms).is_zero() {
            return false;
        }
        let is_counted = kind == DialKind::First || self.repeated.take(1, now_ms);
        is_counted && self.all.take(1, now_ms)
    }

    /// Returns how long it takes until a dial of this kind may be made.
    pub(super) fn wait(&mut self, kind: DialKind, now_ms: u64) -> Duration {
        let all = self.all.wait(1, now_ms);
        match kind {
            DialKind::First => all,
            DialKind::Repeated => all.max(self.repeated.wait(1, now_ms)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use DialKind::{First, Repeated};

    fn ms(time: Duration) -> u64 {
        time.as_millis() as u64
    }

    #[test]
    fn after_a_burst_dials_are_spaced_out() {
        let mut rates = DialRates::new(0);
        let mut taken = |now_ms| (0..1_000).filter(|_| rates.take(First, now_ms)).count();
        assert_eq!(taken(0), BURST as usize);
        assert_eq!(taken(ms(EVERY) * 3), 3);
        assert_eq!(taken(ms(EVERY) * 1_000), BURST as usize);
        assert_eq!(rates.wait(First, ms(EVERY) * 1_000), EVERY);
    }

    #[test]
    fn repeated_dials_are_limited_without_delaying_first_ones() {
        let mut rates = DialRates::new(0);
        let mut now_ms = 0;
        let mut repeated = 0;
        for _ in 0..2 * 600 {
            repeated += u64::from(rates.take(Repeated, now_ms));
            now_ms += ms(EVERY);
        }
        let ten_minutes = 600 / REPEATED_EVERY.as_secs();
        assert!(repeated <= REPEATED_BURST + ten_minutes, "{repeated}");
        assert!(rates.take(First, now_ms), "a first one is not kept");
        while rates.take(Repeated, now_ms) {}
        assert!(rates.wait(Repeated, now_ms) <= REPEATED_EVERY);
        assert!(rates.take(Repeated, now_ms + ms(REPEATED_EVERY)));
    }
}
