//! How many calls may go out: a thousand contacts that are offline must cost little.

use m2_net::token_bucket::{Rate, TokenBucket};
use std::time::Duration;
use tokio::time::Instant;

/// Calls that are made at once after a quiet time.
const BURST: u32 = 40;
/// One more may be made after so long: 120 a minute.
const EVERY: Duration = Duration::from_millis(500);

/// A bucket of calls.
#[derive(Debug)]
pub(super) struct Budget {
    bucket: TokenBucket,
    since: Instant,
}

impl Budget {
    /// A full one.
    pub(super) fn new(now: Instant) -> Self {
        Self {
            bucket: TokenBucket::full(BURST.into(), Rate::new(1, EVERY), 0),
            since: now,
        }
    }

    /// Takes one call, if there is any.
    pub(super) fn take(&mut self, now: Instant) -> bool {
        let now_ms = self.ms(now);
        self.bucket.take(1, now_ms)
    }

    /// When there is one again; none if there is one now.
    pub(super) fn next(&mut self, now: Instant) -> Option<Instant> {
        let now_ms = self.ms(now);
        let wait = self.bucket.wait(1, now_ms);
        (wait > Duration::ZERO).then(|| now + wait)
    }

    fn ms(&self, now: Instant) -> u64 {
        let passed = now.saturating_duration_since(self.since).as_millis();
        u64::try_from(passed).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn after_a_burst_calls_go_out_one_by_one() {
        let mut budget = Budget::new(Instant::now());
        assert!((0..BURST).all(|_| budget.take(Instant::now())));
        assert!(!budget.take(Instant::now()));
        assert_eq!(budget.next(Instant::now()), Some(Instant::now() + EVERY));
        tokio::time::advance(EVERY * 3).await;
        let taken = (0..10).filter(|_| budget.take(Instant::now()));
        assert_eq!(taken.count(), 3);
        tokio::time::advance(EVERY * 1_000).await;
        let taken = (0..1_000).filter(|_| budget.take(Instant::now()));
        assert_eq!(taken.count(), BURST as usize);
    }
}
