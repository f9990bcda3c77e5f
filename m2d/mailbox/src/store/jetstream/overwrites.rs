//! How many deleted letters are overwritten.
//!
//! To overwrite a message, nats-server writes its whole block again, up to 8 MiB on each node, and
//! flushes it. A front end therefore overwrites only the first letters of a burst, and then one
//! every ten seconds. A store with more traffic fills and compacts blocks by itself
//! (docs/spec/mailbox-store.md#what-the-engine-keeps).

use super::kept::Erasure;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The number of letters that are overwritten without a pause.
const BURST: u32 = 64;

/// The time in which one more letter may be overwritten.
const EVERY: Duration = Duration::from_secs(10);

/// Decides which letters are overwritten.
pub(super) struct Overwrites {
    /// The moment at which the whole burst is available.
    full_at: Mutex<Instant>,
}

impl Overwrites {
    pub(super) fn new() -> Self {
        Self {
            full_at: Mutex::new(Instant::now()),
        }
    }

    /// Returns how to delete the next letter.
    pub(super) fn next(&self) -> Erasure {
        self.next_at(Instant::now())
    }

    fn next_at(&self, now: Instant) -> Erasure {
        let mut full_at = self.full_at.lock().unwrap_or_else(PoisonError::into_inner);
        let after = (*full_at).max(now) + EVERY;
        if after > now + EVERY * BURST {
            return Erasure::Delete;
        }
        *full_at = after;
        Erasure::Overwrite
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_overwritten_and_then_one_every_ten_seconds() {
        let overwrites = Overwrites::new();
        let start = Instant::now();
        let count = |now| {
            let all = (0..200).map(|_| overwrites.next_at(now));
            all.filter(|how| *how == Erasure::Overwrite).count()
        };
        assert_eq!(count(start), 64);
        assert_eq!(count(start + EVERY / 2), 0);
        assert_eq!(count(start + EVERY * 3), 3);
        assert_eq!(count(start + EVERY * 1_000), 64);
    }
}
