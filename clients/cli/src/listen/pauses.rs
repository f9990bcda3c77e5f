//! The pauses between attempts to connect.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(250);
const LONGEST: Duration = Duration::from_secs(10);

/// Pauses that double with each failure, until an attempt succeeds.
#[derive(Debug, Default)]
pub(super) struct Pauses {
    failures: u32,
}

impl Pauses {
    /// Returns whether the last attempt succeeded, or there was none.
    pub(super) const fn are_over(&self) -> bool {
        self.failures == 0
    }

    /// Records that an attempt succeeded.
    pub(super) const fn end(&mut self) {
        self.failures = 0;
    }

    /// Records a failure. Returns the pause after it.
    pub(super) fn next(&mut self) -> Duration {
        let doublings = self.failures.min(16);
        self.failures = self.failures.saturating_add(1);
        FIRST.saturating_mul(1 << doublings).min(LONGEST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_maximum_and_restart() {
        let mut pauses = Pauses::default();
        assert_eq!(pauses.next(), FIRST);
        assert_eq!(pauses.next(), FIRST * 2);
        for _ in 0..100 {
            pauses.next();
        }
        assert_eq!(pauses.next(), LONGEST);
        pauses.end();
        assert!(pauses.are_over());
        assert_eq!(pauses.next(), FIRST);
    }
}
