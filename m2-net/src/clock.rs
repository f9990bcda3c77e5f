//! The clock as a parameter: protocol code takes times as arguments, only the endpoint reads a
//! clock.

use std::fmt;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

const DAY_MS: u64 = 86_400_000;

/// The clock of an endpoint, used for days, ages and limits. The daemon passes the system's clock,
/// without corrections from stored state (docs/operator/clocks.md).
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> u64 + Send + Sync>);

impl Clock {
    /// Creates a clock from a function that returns Unix time in milliseconds.
    pub fn new(unix_ms: impl Fn() -> u64 + Send + Sync + 'static) -> Self {
        Self(Arc::new(unix_ms))
    }

    /// Returns the system's clock.
    pub fn system() -> Self {
        Self::new(|| {
            SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(0, |since| since.as_millis() as u64)
        })
    }

    /// Returns the Unix time in milliseconds.
    pub fn unix_ms(&self) -> u64 {
        (self.0)()
    }

    /// Returns the Unix time in seconds.
    pub fn unix_s(&self) -> u64 {
        self.unix_ms() / 1000
    }

    /// Returns the UTC day, in days since 1970-01-01.
    pub fn day(&self) -> u32 {
        u32::try_from(self.unix_ms() / DAY_MS).unwrap_or(u32::MAX)
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}
