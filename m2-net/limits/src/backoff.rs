//! Exponential backoff.

use std::time::Duration;

/// Pauses that double with every failure, up to a maximum.
#[derive(Debug, Clone, Copy)]
pub struct Backoff {
    /// The pause after the first failure.
    pub first: Duration,
    /// The maximum pause.
    pub longest: Duration,
}

impl Backoff {
    /// Returns the pause after `failures` consecutive failures. Half of it is scaled by `jitter`, a
    /// random number in the range of `u32`.
    pub fn pause(&self, failures: u32, jitter: u32) -> Duration {
        let doublings = failures.saturating_sub(1).min(16);
        let full = self.first.saturating_mul(1 << doublings).min(self.longest);
        let half = full / 2;
        half + half.mul_f64(f64::from(jitter) / f64::from(u32::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_up_to_the_maximum() {
        let backoff = Backoff {
            first: Duration::from_millis(250),
            longest: Duration::from_secs(120),
        };
        assert!(backoff.pause(1, 0) >= backoff.first / 2);
        assert!(backoff.pause(4, u32::MAX) > backoff.pause(1, u32::MAX));
        assert!(backoff.pause(u32::MAX, u32::MAX) <= backoff.longest);
    }
}
