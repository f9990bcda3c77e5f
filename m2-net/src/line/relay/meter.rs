//! A bound on bytes a second.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// What may pass at once after a pause: a fifth of a second's bytes, and some whole packets.
const BURST_PART: u64 = 5;
const LEAST_BURST: u64 = 64 << 10;

/// Lets so many bytes pass in a second.
#[derive(Debug)]
pub(super) struct Meter {
    per_second: u64,
    state: Mutex<Option<State>>,
    last_used_s: AtomicU64,
}

#[derive(Debug)]
struct State {
    allowance: u64,
    at: Instant,
}

impl Meter {
    pub(super) const fn new(per_second: u64) -> Self {
        Self {
            per_second,
            state: Mutex::new(None),
            last_used_s: AtomicU64::new(0),
        }
    }

    /// Whether `bytes` may pass; if so they are counted.
    pub(super) fn allow(&self, bytes: u64, now: Instant) -> bool {
        let burst = (self.per_second / BURST_PART).max(LEAST_BURST);
        let mut guard = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let state = guard.get_or_insert(State {
            allowance: burst,
            at: now,
        });
        let passed_us = now.saturating_duration_since(state.at).as_micros();
        let gained = u64::try_from(passed_us).unwrap_or(u64::MAX).min(1_000_000);
        let gained = gained.saturating_mul(self.per_second) / 1_000_000;
        if gained > 0 {
            state.allowance = state.allowance.saturating_add(gained).min(burst);
            state.at = now;
        }
        match state.allowance.checked_sub(bytes) {
            Some(rest) => {
                state.allowance = rest;
                true
            }
            None => false,
        }
    }

    /// Notes that it was used, at this second.
    pub(super) fn used(&self, now_s: u64) {
        self.last_used_s.store(now_s, Ordering::Relaxed);
    }

    /// Seconds since it was used.
    pub(super) fn idle_s(&self, now_s: u64) -> u64 {
        now_s.saturating_sub(self.last_used_s.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn no_more_passes_than_may() {
        let meter = Meter::new(1_000_000);
        let start = Instant::now();
        let mut passed = 0;
        for millisecond in 0..10_000 {
            let now = start + Duration::from_millis(millisecond);
            for _ in 0..10 {
                passed += if meter.allow(1_000, now) { 1_000 } else { 0 };
            }
        }
        assert!((9_900_000..=10_400_000).contains(&passed), "{passed}");
    }

    #[test]
    fn idleness_is_counted_from_the_last_use() {
        let meter = Meter::new(1);
        meter.used(5);
        assert_eq!(meter.idle_s(9), 4);
    }
}
