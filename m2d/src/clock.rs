//! The daemon's clock: never earlier than the build, the last stored time, or itself (spec §1).

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// No M2 daemon ran before this moment (2026-11-01), so no clock that shows less is right.
const EARLIEST_MS: u64 = 1_793_491_200_000;

/// A wall clock in Unix milliseconds that never steps back.
#[derive(Debug)]
pub struct Clock {
    floor: AtomicU64,
}

impl Clock {
    /// A clock that shows no time before `stored_ms`, the latest time found in the store.
    pub fn new(stored_ms: u64) -> Self {
        Self {
            floor: AtomicU64::new(stored_ms.max(EARLIEST_MS)),
        }
    }

    /// Raises the floor to a time found in the store.
    pub fn raise(&self, stored_ms: u64) {
        self.floor.fetch_max(stored_ms, Ordering::Relaxed);
    }

    /// Unix time in milliseconds.
    pub fn now_ms(&self) -> u64 {
        let system = system_ms();
        self.floor.fetch_max(system, Ordering::Relaxed).max(system)
    }

    /// Days since 1970, UTC.
    pub fn today(&self) -> u32 {
        u32::try_from(self.now_ms() / 86_400_000).unwrap_or(u32::MAX)
    }

    /// How far the system's clock lags behind what this clock shows, in milliseconds.
    pub fn lag_ms(&self) -> u64 {
        self.now_ms().saturating_sub(system_ms())
    }
}

fn system_ms() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| {
            u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_never_steps_back() {
        let future = system_ms() + 1_000_000;
        let clock = Clock::new(future);
        assert!(clock.now_ms() >= future);
        assert!(clock.lag_ms() > 900_000);
    }
}
