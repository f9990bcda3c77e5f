//! What commands that outlast a restart of the daemon have in common.

use std::time::Duration;

use m2_proto::reason::Reason;

use crate::failure::Failure;

const FIRST: Duration = Duration::from_millis(250);
const LONGEST: Duration = Duration::from_secs(10);

/// Returns whether waiting can help, because the daemon is not running, stopping or locked.
pub(crate) fn passes(failure: &Failure) -> bool {
    match failure {
        Failure::NoDaemon(_) | Failure::TimedOut(_) => true,
        Failure::Refused { reason, .. } => [Reason::Locked, Reason::Stopping]
            .map(Reason::as_str)
            .contains(&reason.as_str()),
        _ => false,
    }
}

/// The pauses between attempts to connect. They double with each failure, until an attempt succeeds.
#[derive(Debug, Default)]
pub(crate) struct Pauses {
    failures: u32,
}

impl Pauses {
    /// Returns whether the last attempt succeeded, or there was none.
    pub(crate) const fn are_over(&self) -> bool {
        self.failures == 0
    }

    /// Records that an attempt succeeded.
    pub(crate) const fn end(&mut self) {
        self.failures = 0;
    }

    /// Records a failure. Returns the pause after it.
    pub(crate) fn next(&mut self) -> Duration {
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
