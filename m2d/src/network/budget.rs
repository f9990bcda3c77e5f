//! Rate limits for dials, so that a thousand offline contacts cost little.

use std::time::Duration;
use tokio::time::Instant;

/// The burst of all dials.
const BURST: u32 = 40;
/// The refill interval of all dials: 120 a minute.
const EVERY: Duration = Duration::from_millis(500);

/// The burst of repeated dials: ten for each of twelve contacts.
const REPEATED_BURST: u32 = 120;
/// The refill interval of repeated dials. With 500 offline contacts each is dialled every 33
/// minutes; a contact that comes back online dials this daemon itself.
const REPEATED_EVERY: Duration = Duration::from_secs(4);

/// The kind of a dial, which determines its rate limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum DialKind {
    /// The first dial after a session, a new address, or a message from the user.
    First,
    /// Another dial after a failed one.
    Repeated,
}

/// The token buckets for dials.
#[derive(Debug)]
pub(super) struct Budget {
    all: Bucket,
    repeated: Bucket,
}

impl Budget {
    /// Returns full buckets.
    pub(super) fn new(now: Instant) -> Self {
        Self {
            all: Bucket::full(BURST, EVERY, now),
            repeated: Bucket::full(REPEATED_BURST, REPEATED_EVERY, now),
        }
    }

    /// Takes a token for one dial. Returns whether there was one.
    pub(super) fn take(&mut self, kind: DialKind, now: Instant) -> bool {
        self.all.refill(now);
        self.repeated.refill(now);
        let may_be_made = self.next(kind).is_none();
        if may_be_made {
            self.all.take();
            if kind == DialKind::Repeated {
                self.repeated.take();
            }
        }
        may_be_made
    }

    /// Returns when the next token is available; `None` if there was one at the last
    /// [`Self::take`].
    pub(super) fn next(&self, kind: DialKind) -> Option<Instant> {
        match kind {
            DialKind::First => self.all.next(),
            DialKind::Repeated => self.all.next().max(self.repeated.next()),
        }
    }
}

#[derive(Debug)]
struct Bucket {
    burst: u32,
    every: Duration,
    left: u32,
    /// Time of the last refill.
    at: Instant,
}

impl Bucket {
    const fn full(burst: u32, every: Duration, now: Instant) -> Self {
        Self {
            burst,
            every,
            left: burst,
            at: now,
        }
    }

    const fn take(&mut self) {
        self.left = self.left.saturating_sub(1);
    }

    fn next(&self) -> Option<Instant> {
        (self.left == 0).then(|| self.at + self.every)
    }

    fn refill(&mut self, now: Instant) {
        let passed = now.duration_since(self.at).as_millis() / self.every.as_millis();
        let more = u32::try_from(passed).unwrap_or(self.burst).min(self.burst);
        if more > 0 {
            self.left = self.left.saturating_add(more).min(self.burst);
            self.at = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use DialKind::{First, Repeated};

    #[tokio::test(start_paused = true)]
    async fn after_a_burst_dials_are_spaced_out() {
        let mut budget = Budget::new(Instant::now());
        assert!((0..BURST).all(|_| budget.take(First, Instant::now())));
        assert!(!budget.take(First, Instant::now()));
        assert_eq!(budget.next(First), Some(Instant::now() + EVERY));
        tokio::time::advance(EVERY * 3).await;
        let taken = (0..10).filter(|_| budget.take(First, Instant::now()));
        assert_eq!(taken.count(), 3);
        tokio::time::advance(EVERY * 1_000).await;
        let taken = (0..1_000).filter(|_| budget.take(First, Instant::now()));
        assert_eq!(taken.count(), BURST as usize);
    }

    #[tokio::test(start_paused = true)]
    async fn repeated_dials_are_limited_without_delaying_first_ones() {
        let mut budget = Budget::new(Instant::now());
        let mut repeated = 0;
        for _ in 0..2 * 600 {
            repeated += u32::from(budget.take(Repeated, Instant::now()));
            tokio::time::advance(EVERY).await;
        }
        let ten_minutes = 600 / REPEATED_EVERY.as_secs() as u32;
        assert!(repeated <= REPEATED_BURST + ten_minutes, "{repeated}");
        assert!(
            budget.take(First, Instant::now()),
            "a first one is not kept"
        );
        while budget.take(Repeated, Instant::now()) {}
        let next = budget.next(Repeated);
        assert!(next.is_some_and(|next| next <= Instant::now() + REPEATED_EVERY));
        tokio::time::advance(REPEATED_EVERY).await;
        assert!(budget.take(Repeated, Instant::now()));
    }
}
