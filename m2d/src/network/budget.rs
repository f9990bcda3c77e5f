//! How many calls may go out: a thousand contacts that are offline must cost little.

use std::time::Duration;
use tokio::time::Instant;

/// Calls that are made at once after a quiet time.
const BURST: u32 = 40;
/// One more may be made after so long: 120 a minute.
const EVERY: Duration = Duration::from_millis(500);

/// A bucket of calls.
#[derive(Debug)]
pub(super) struct Budget {
    left: u32,
    /// When it was last refilled.
    at: Instant,
}

impl Budget {
    /// A full one.
    pub(super) fn new(now: Instant) -> Self {
        Self {
            left: BURST,
            at: now,
        }
    }

    /// Takes one call, if there is any.
    pub(super) fn take(&mut self, now: Instant) -> bool {
        self.refill(now);
        let may = self.left > 0;
        self.left = self.left.saturating_sub(1);
        may
    }

    /// When there is one again; none if there is one now.
    pub(super) fn next(&self) -> Option<Instant> {
        (self.left == 0).then(|| self.at + EVERY)
    }

    fn refill(&mut self, now: Instant) {
        let passed = now.duration_since(self.at).as_millis() / EVERY.as_millis();
        let more = u32::try_from(passed).unwrap_or(BURST).min(BURST);
        if more > 0 {
            self.left = self.left.saturating_add(more).min(BURST);
            self.at = now;
        }
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
        assert_eq!(budget.next(), Some(Instant::now() + EVERY));
        tokio::time::advance(EVERY * 3).await;
        let taken = (0..10).filter(|_| budget.take(Instant::now()));
        assert_eq!(taken.count(), 3);
        tokio::time::advance(EVERY * 1_000).await;
        let taken = (0..1_000).filter(|_| budget.take(Instant::now()));
        assert_eq!(taken.count(), BURST as usize);
    }
}
