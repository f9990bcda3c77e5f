//! The rate limiter used throughout M2: a token bucket. It reads no clock.

use std::time::Duration;

/// The refill rate of a [`TokenBucket`]: tokens per period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    tokens: u64,
    /// Never 0.
    period_ms: u64,
}

impl Rate {
    /// Returns the rate of `tokens` per `period`. A period below 1 ms counts as 1 ms.
    pub fn new(tokens: u64, period: Duration) -> Self {
        let period_ms = u64::try_from(period.as_millis()).unwrap_or(u64::MAX);
        Self {
            tokens,
            period_ms: period_ms.max(1),
        }
    }

    /// Returns the rate of `tokens` per second.
    pub const fn per_second(tokens: u64) -> Self {
        Self {
            tokens,
            period_ms: 1_000,
        }
    }
}

/// A token bucket. Times are milliseconds of any clock; one that goes backwards refills nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenBucket {
    rate: Rate,
    /// The capacity of the bucket in parts: one token is `rate.period_ms` parts, so that no
    /// fraction of a token is lost however often the bucket is refilled.
    capacity: u64,
    level: u64,
    refilled_ms: u64,
}

impl TokenBucket {
    /// Returns a full bucket of `burst` tokens.
    pub const fn full(burst: u64, rate: Rate, now_ms: u64) -> Self {
        let capacity = burst.saturating_mul(rate.period_ms);
        Self {
            rate,
            capacity,
            level: capacity,
            refilled_ms: now_ms,
        }
    }

    /// Returns a bucket of `burst` tokens that held `tokens` at `at_ms`.
    pub fn with_level(burst: u64, rate: Rate, tokens: u64, at_ms: u64) -> Self {
        let mut bucket = Self::full(burst, rate, at_ms);
        bucket.level = tokens.saturating_mul(rate.period_ms).min(bucket.capacity);
        bucket
    }

    /// Takes `tokens`, all or nothing. Returns whether the bucket held them.
    pub fn take(&mut self, tokens: u64, now_ms: u64) -> bool {
        self.refill(now_ms);
        let Some(rest) = self.level.checked_sub(self.parts(tokens)) else {
            return false;
        };
        self.level = rest;
        true
    }

    /// Takes `tokens`, or everything if the bucket holds fewer.
    pub fn take_up_to(&mut self, tokens: u64, now_ms: u64) {
        self.refill(now_ms);
        self.level = self.level.saturating_sub(self.parts(tokens));
    }

    /// Returns tokens to the bucket that were taken and not used.
    pub fn give_back(&mut self, tokens: u64) {
        let level = self.level.saturating_add(self.parts(tokens));
        self.level = level.min(self.capacity);
    }

    /// Returns how many whole tokens the bucket holds.
    pub fn level(&mut self, now_ms: u64) -> u64 {
        self.refill(now_ms);
        self.level / self.rate.period_ms
    }

    /// Returns whether the bucket is full.
    pub fn is_full(&mut self, now_ms: u64) -> bool {
        self.refill(now_ms);
        self.level == self.capacity
    }

    /// Returns how long it takes until the bucket holds `tokens`, or until it is full if its
    /// capacity is lower; zero if it already holds them. Returns `u64::MAX` milliseconds if the
    /// bucket never refills.
    pub fn wait(&mut self, tokens: u64, now_ms: u64) -> Duration {
        self.refill(now_ms);
        let missing = self
            .parts(tokens)
            .min(self.capacity)
            .saturating_sub(self.level);
        if missing == 0 {
            return Duration::ZERO;
        }
        let wait_ms = match self.rate.tokens {
            0 => u64::MAX,
            tokens => missing.div_ceil(tokens),
        };
        Duration::from_millis(wait_ms)
    }

    const fn parts(&self, tokens: u64) -> u64 {
        tokens.saturating_mul(self.rate.period_ms)
    }

    fn refill(&mut self, now_ms: u64) {
        let passed_ms = now_ms.saturating_sub(self.refilled_ms);
        let gained = passed_ms.saturating_mul(self.rate.tokens);
        self.level = self.level.saturating_add(gained).min(self.capacity);
        self.refilled_ms = now_ms;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn a_burst_passes_and_then_the_rate() {
        let mut bucket = TokenBucket::full(128, Rate::new(128, MINUTE), 0);
        assert!(bucket.take(128, 0));
        assert!(!bucket.take(1, 468), "a token takes 468.75 ms");
        assert!(bucket.take(1, 469));
        let passed = (1..=60_000).filter(|ms| bucket.take(1, 469 + ms)).count();
        assert_eq!(passed, 128, "however often it is asked");
        assert_eq!(bucket.level(10 * 60_000), 128, "and it never holds more");
    }

    #[test]
    fn unused_tokens_can_be_returned_up_to_the_capacity() {
        let mut bucket = TokenBucket::full(10, Rate::per_second(1), 0);
        assert!(bucket.take(8, 0));
        bucket.give_back(3);
        assert_eq!(bucket.level(0), 5);
        bucket.give_back(u64::MAX);
        assert_eq!(bucket.level(0), 10);
        bucket.take_up_to(u64::MAX, 0);
        assert_eq!(bucket.level(0), 0);
    }

    #[test]
    fn tokens_are_taken_all_or_nothing() {
        let mut bucket = TokenBucket::full(10, Rate::per_second(1), 0);
        assert!(!bucket.take(11, 1_000_000));
        assert_eq!(bucket.level(1_000_000), 10);
    }

    #[test]
    fn the_wait_is_until_the_tokens_are_there() {
        let mut bucket = TokenBucket::full(40, Rate::per_second(2), 0);
        assert_eq!(bucket.wait(1, 0), Duration::ZERO);
        assert!(bucket.take(40, 0));
        assert_eq!(bucket.wait(1, 0), Duration::from_millis(500));
        assert_eq!(bucket.wait(1_000, 0), Duration::from_secs(20), "until full");
        assert_eq!(bucket.wait(1, 499), Duration::from_millis(1));
        let mut never = TokenBucket::with_level(1, Rate::per_second(0), 0, 0);
        assert_eq!(never.wait(1, 0), Duration::from_millis(u64::MAX));
    }

    #[test]
    fn a_clock_that_goes_backwards_refills_nothing() {
        let mut bucket = TokenBucket::with_level(10, Rate::per_second(1), 0, 5_000);
        assert_eq!(bucket.level(1_000), 0);
        assert_eq!(bucket.level(2_000), 1);
        assert!(!bucket.is_full(2_000));
    }
}
