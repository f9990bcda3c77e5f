//! Rate limits in bytes per second. Times are milliseconds since the relay started.

use m2_limits::prefix::Prefix;
use m2_limits::token_bucket::{Rate, TokenBucket};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The burst after a pause: a fifth of a second's bytes, but enough for several whole packets.
const BURST_PART: u64 = 5;
const LEAST_BURST: u64 = 64 << 10;
/// The window in which a prefix's bytes are counted: much shorter than it takes to use up half of
/// the burst.
const WINDOW_MS: u64 = 20;
/// How long a prefix counts as active after it sent something.
const ACTIVE_MS: u64 = 1_000;

/// Limits the bytes between two parties.
#[derive(Debug)]
pub(super) struct Meter {
    bucket: Mutex<TokenBucket>,
    last_used_s: AtomicU64,
}

impl Meter {
    /// Creates a meter that lets `per_second` bytes pass per second.
    pub(super) fn new(per_second: u64, now_ms: u64) -> Self {
        Self {
            bucket: Mutex::new(bucket(per_second, now_ms)),
            last_used_s: AtomicU64::new(0),
        }
    }

    /// Returns whether `bytes` may pass, and counts them if so.
    pub(super) fn allow(&self, bytes: u64, now_ms: u64) -> bool {
        lock(&self.bucket).take(bytes, now_ms)
    }

    /// Records that the meter was used at this second.
    pub(super) fn used(&self, now_s: u64) {
        self.last_used_s.store(now_s, Ordering::Relaxed);
    }

    /// Returns the seconds since the last use.
    pub(super) fn idle_s(&self, now_s: u64) -> u64 {
        now_s.saturating_sub(self.last_used_s.load(Ordering::Relaxed))
    }
}

/// Limits the bytes of all parties together, so that no source prefix starves the others: while
/// half of the burst is used up, only prefixes that have not used their part of the current window
/// may send.
#[derive(Debug)]
pub(super) struct CommonMeter(Mutex<Common>);

#[derive(Debug)]
struct Common {
    per_window: u64,
    bucket: TokenBucket,
    /// The level of the bucket below which the parts are enforced.
    scarce: u64,
    /// The prefixes that sent something in this second: at most one per session.
    active: HashMap<Prefix, Sent>,
    second: u64,
    /// The number of prefixes that sent something in the previous second.
    active_before: usize,
}

/// The bytes that a prefix sent in a window.
#[derive(Debug, Default, Clone, Copy)]
struct Sent {
    window: u64,
    bytes: u64,
}

impl CommonMeter {
    /// Creates a meter that lets `per_second` bytes pass per second.
    pub(super) fn new(per_second: u64, now_ms: u64) -> Self {
        Self(Mutex::new(Common {
            per_window: per_second / (1_000 / WINDOW_MS),
            bucket: bucket(per_second, now_ms),
            scarce: burst(per_second) / 2,
            active: HashMap::new(),
            second: now_ms / ACTIVE_MS,
            active_before: 0,
        }))
    }

    /// Returns whether `bytes` from `prefix` may pass, and counts them if so.
    pub(super) fn allow(&self, prefix: Prefix, bytes: u64, now_ms: u64) -> bool {
        lock(&self.0).allow(prefix, bytes, now_ms)
    }
}

impl Common {
    fn allow(&mut self, prefix: Prefix, bytes: u64, now_ms: u64) -> bool {
        self.turn(now_ms / ACTIVE_MS);
        let window = now_ms / WINDOW_MS;
        let mut sent = *self.active.entry(prefix).or_default();
        if sent.window != window {
            sent = Sent { window, bytes: 0 };
        }
        let active = self.active.len().max(self.active_before).max(1);
        let part = self.per_window / u64::try_from(active).unwrap_or(u64::MAX);
        let is_scarce = self.bucket.level(now_ms) < self.scarce;
        // One packet per window passes, however small the part is.
        let had_its_part = sent.bytes > 0 && sent.bytes.saturating_add(bytes) > part;
        if (is_scarce && had_its_part) || !self.bucket.take(bytes, now_ms) {
            return false;
        }
        sent.bytes = sent.bytes.saturating_add(bytes);
        self.active.insert(prefix, sent);
        true
    }

    fn turn(&mut self, second: u64) {
        if second != self.second {
            let is_next = second == self.second.wrapping_add(1);
            self.active_before = if is_next { self.active.len() } else { 0 };
            self.active.clear();
            self.second = second;
        }
    }
}

fn bucket(per_second: u64, now_ms: u64) -> TokenBucket {
    TokenBucket::full(burst(per_second), Rate::per_second(per_second), now_ms)
}

fn burst(per_second: u64) -> u64 {
    (per_second / BURST_PART).max(LEAST_BURST)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // No update under these locks can be interrupted halfway, so a poisoned lock is still
    // consistent.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::IpAddr;

    #[test]
    fn the_rate_limit_is_enforced() {
        let meter = Meter::new(1_000_000, 0);
        let mut passed = 0;
        for now_ms in 0..10_000 {
            for _ in 0..10 {
                passed += if meter.allow(1_000, now_ms) { 1_000 } else { 0 };
            }
        }
        assert!((9_900_000..=10_400_000).contains(&passed), "{passed}");
    }

    #[test]
    fn idleness_is_counted_from_the_last_use() {
        let meter = Meter::new(1, 0);
        meter.used(5);
        assert_eq!(meter.idle_s(9), 4);
    }

    fn prefix(number: u8) -> Prefix {
        Prefix::of(IpAddr::from([127, 0, number, 1]))
    }

    #[test]
    fn a_flooding_prefix_does_not_starve_the_others() {
        let meter = CommonMeter::new(1_000_000, 0);
        let (mut flood, mut honest) = (0, 0);
        for now_ms in 0..10_000 {
            for _ in 0..10 {
                flood += u64::from(meter.allow(prefix(1), 1_000, now_ms));
            }
            // A third of the total rate.
            if now_ms % 3 == 0 {
                honest += u64::from(meter.allow(prefix(2), 1_000, now_ms));
            }
        }
        assert_eq!(honest, 3_334, "all of it");
        assert!((6_000..=7_000).contains(&flood), "and the rest: {flood}");
    }

    #[test]
    fn a_single_prefix_may_use_the_whole_rate() {
        let meter = CommonMeter::new(1_000_000, 0);
        let passed = (0..10_000).flat_map(|now_ms| [now_ms; 10]);
        let passed = passed.filter(|now_ms| meter.allow(prefix(1), 1_000, *now_ms));
        let passed = passed.count();
        assert!((9_900..=10_400).contains(&passed), "{passed}");
    }
}
