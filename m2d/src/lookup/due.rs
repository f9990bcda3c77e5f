//! Due times of repeated work.

use m2_limits::backoff::Backoff;
use std::collections::HashMap;
use std::hash::Hash;

/// The failures and the next due time of each key. Times are of the steady clock, in milliseconds,
/// which no clock setting moves.
#[derive(Debug)]
pub(super) struct Due<K> {
    backoff: Backoff,
    all: HashMap<K, Entry>,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    failures: u32,
    next_ms: u64,
}

impl<K: Eq + Hash> Due<K> {
    /// Creates an empty table. A key without an entry is due.
    pub(super) fn new(backoff: Backoff) -> Self {
        Self {
            backoff,
            all: HashMap::new(),
        }
    }

    /// Drops the entries of all other keys.
    pub(super) fn keep(&mut self, wanted: impl Fn(&K) -> bool) {
        self.all.retain(|key, _| wanted(key));
    }

    /// Returns whether a key is due.
    pub(super) fn is_due(&self, key: &K, now_ms: u64) -> bool {
        self.all
            .get(key)
            .is_none_or(|entry| entry.next_ms <= now_ms)
    }

    /// Records a failure and schedules a retry with backoff.
    pub(super) fn failed(&mut self, key: K, now_ms: u64, jitter: u32) {
        let failures = self.all.get(&key).map_or(0, |entry| entry.failures);
        let failures = failures.saturating_add(1);
        let pause = self.backoff.pause(failures, jitter).as_millis();
        let pause = u64::try_from(pause).unwrap_or(u64::MAX);
        let next_ms = now_ms.saturating_add(pause);
        self.all.insert(key, Entry { failures, next_ms });
    }

    /// Records a success and schedules the next run at `next_ms`.
    pub(super) fn done(&mut self, key: K, next_ms: u64) {
        let failures = 0;
        self.all.insert(key, Entry { failures, next_ms });
    }

    /// Returns the earliest due time of all entries.
    pub(super) fn next_ms(&self) -> Option<u64> {
        self.all.values().map(|entry| entry.next_ms).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn failures_are_retried_with_exponential_backoff() {
        let mut due = Due::new(Backoff {
            first: Duration::from_secs(2),
            longest: Duration::from_secs(60),
        });
        assert!(due.is_due(&1, 0));
        due.failed(1, 0, u32::MAX);
        assert!(!due.is_due(&1, 1_999) && due.is_due(&1, 2_000));
        due.failed(1, 2_000, u32::MAX);
        assert_eq!(due.next_ms(), Some(6_000));
        due.done(1, 100_000);
        due.failed(1, 100_000, u32::MAX);
        assert_eq!(due.next_ms(), Some(102_000), "a success resets the backoff");
        due.keep(|key| *key != 1);
        assert!(due.is_due(&1, 0) && due.next_ms().is_none());
    }
}
