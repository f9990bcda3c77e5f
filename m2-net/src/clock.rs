//! The clock as a parameter: protocol code takes times, only the endpoint asks for them.

use std::fmt;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// Milliseconds in a UTC day.
const DAY_MS: u64 = 86_400_000;

/// Where an endpoint takes the time from: days, ages and limits go by it. The daemon gives the
/// system's clock, which nothing that is stored moves (docs/operator/clocks.md).
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> u64 + Send + Sync>);

impl Clock {
    /// A clock that asks `unix_ms` for Unix time in milliseconds.
    pub fn new(unix_ms: impl Fn() -> u64 + Send + Sync + 'static) -> Self {
        Self(Arc::new(unix_ms))
    }

    /// The system's clock.
    pub fn system() -> Self {
        Self::new(|| {
            SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(0, |since| since.as_millis() as u64)
        })
    }

    /// Unix time in milliseconds.
    pub fn unix_ms(&self) -> u64 {
        (self.0)()
    }

    /// Unix time in seconds.
    pub fn unix_s(&self) -> u64 {
        self.unix_ms() / 1000
    }

    /// UTC days since 1970.
    pub fn day(&self) -> u32 {
        u32::try_from(self.unix_ms() / DAY_MS).unwrap_or(u32::MAX)
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}
