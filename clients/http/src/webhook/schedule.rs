//! When a webhook tries again, and when it reports that it fails. No IO, no clock.

use m2_limits::backoff::Backoff;
use std::time::Duration;

/// Consecutive failures after which the webhook counts as failing. Fewer are repaired within seconds.
const FEW: u32 = 3;
/// The pause after the first failure of the receiver.
const FIRST: Duration = Duration::from_secs(1);
/// The pauses while the daemon is absent or refuses.
const ABSENT: Backoff = Backoff {
    first: Duration::from_millis(500),
    longest: Duration::from_secs(30),
};

/// The pauses and reports of one webhook.
#[derive(Debug)]
pub(super) struct Schedule {
    backoff: Backoff,
    /// Consecutive failures of the receiver.
    failures: u32,
    /// Consecutive failures of the daemon.
    absences: u32,
    reported: Reported,
}

/// What the daemon knows of this webhook.
#[derive(Debug, PartialEq, Eq)]
enum Reported {
    /// Not known: a previous run of the gateway may have reported a failure, and the daemon keeps reports in memory only.
    Unknown,
    Nothing,
    Failure(String),
}

/// What follows a failed attempt.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Retry {
    /// The time until the next attempt.
    pub(super) pause: Duration,
    /// The failure, once the webhook counts as failing.
    pub(super) is_failing: bool,
    /// What to report to the daemon, if it does not know yet.
    pub(super) report: Option<String>,
}

impl Schedule {
    /// Returns the schedule of a webhook whose receiver is tried at least once in the time `longest`.
    pub(super) const fn new(longest: Duration) -> Self {
        Self {
            backoff: Backoff {
                first: FIRST,
                longest,
            },
            failures: 0,
            absences: 0,
            reported: Reported::Unknown,
        }
    }

    /// The daemon gives events again. Returns whether the receiver is not failing.
    pub(super) fn connected(&mut self) -> bool {
        self.absences = 0;
        self.reported = Reported::Unknown;
        self.failures < FEW
    }

    /// The daemon is absent or refuses. Returns the time until the next attempt.
    pub(super) fn disconnected(&mut self, jitter: u32) -> Duration {
        self.absences = self.absences.saturating_add(1);
        ABSENT.pause(self.absences, jitter)
    }

    /// The receiver accepted an event. Returns whether the daemon has to learn of it.
    pub(super) fn delivered(&mut self) -> bool {
        self.failures = 0;
        let is_new = self.reported != Reported::Nothing;
        self.reported = Reported::Nothing;
        is_new
    }

    /// The receiver did not accept an event, and asks for at least the pause `asked`.
    pub(super) fn refused(&mut self, failure: &str, asked: Option<Duration>, jitter: u32) -> Retry {
        self.failures = self.failures.saturating_add(1);
        let pause = self.backoff.pause(self.failures, jitter);
        let asked = asked.unwrap_or_default().min(self.backoff.longest);
        let is_failing = self.failures >= FEW;
        Retry {
            pause: pause.max(asked),
            is_failing,
            report: is_failing.then(|| self.report(failure)).flatten(),
        }
    }

    /// The last report did not reach the daemon.
    pub(super) fn not_reported(&mut self) {
        self.reported = Reported::Unknown;
    }

    fn report(&mut self, failure: &str) -> Option<String> {
        let failure = failure.to_owned();
        let known = Reported::Failure(failure.clone());
        let is_new = self.reported != known;
        self.reported = known;
        is_new.then_some(failure)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONGEST: Duration = Duration::from_secs(300);

    #[test]
    fn pauses_grow_to_the_longest_and_start_again_after_a_success() {
        let mut schedule = Schedule::new(LONGEST);
        let pauses: Vec<Duration> = (0..20)
            .map(|_| schedule.refused("x", None, u32::MAX).pause)
            .collect();
        assert_eq!(pauses[0], FIRST);
        assert!(pauses.windows(2).all(|pair| pair[0] <= pair[1]));
        assert_eq!(pauses[19], LONGEST);
        let shortest = schedule.refused("x", None, 0).pause;
        assert_eq!(shortest, LONGEST / 2, "jitter spreads half of the pause");
        schedule.delivered();
        assert_eq!(schedule.refused("x", None, u32::MAX).pause, FIRST);
    }

    #[test]
    fn a_receiver_may_ask_for_a_longer_pause_within_the_bound() {
        let mut schedule = Schedule::new(LONGEST);
        let asked = Some(Duration::from_secs(60));
        assert_eq!(
            schedule.refused("x", asked, 0).pause,
            Duration::from_secs(60)
        );
        let asked = Some(Duration::from_secs(1 << 40));
        assert_eq!(schedule.refused("x", asked, 0).pause, LONGEST);
    }

    #[test]
    fn a_failure_is_reported_once_and_a_success_once() {
        let mut schedule = Schedule::new(LONGEST);
        schedule.connected();
        assert!(schedule.delivered(), "a report of a previous run ends");
        assert!(!schedule.delivered());
        for _ in 1..FEW {
            let retry = schedule.refused("x", None, 0);
            assert_eq!((retry.is_failing, retry.report), (false, None));
        }
        let reported = |schedule: &mut Schedule, failure| schedule.refused(failure, None, 0).report;
        assert_eq!(reported(&mut schedule, "x").as_deref(), Some("x"));
        assert_eq!(reported(&mut schedule, "x"), None);
        assert_eq!(reported(&mut schedule, "y").as_deref(), Some("y"));
        assert!(!schedule.connected(), "the receiver fails as before");
        assert_eq!(
            reported(&mut schedule, "y").as_deref(),
            Some("y"),
            "the daemon may have forgotten"
        );
        schedule.not_reported();
        assert_eq!(reported(&mut schedule, "y").as_deref(), Some("y"));
        assert!(schedule.delivered());
        assert!(schedule.connected());
    }

    #[test]
    fn an_absent_daemon_does_not_make_the_receiver_fail() {
        let mut schedule = Schedule::new(LONGEST);
        let first = schedule.disconnected(u32::MAX);
        assert_eq!(first, ABSENT.first);
        assert!((0..20).all(|_| schedule.disconnected(u32::MAX) <= ABSENT.longest));
        assert!(schedule.connected());
        assert_eq!(schedule.disconnected(u32::MAX), ABSENT.first);
    }
}
