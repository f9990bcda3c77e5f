//! Retries after a batch of the store could not be written: exponential backoff between attempts,
//! and log lines that do not repeat.

use crate::Fault;
use m2_limits::backoff::Backoff;
use std::time::{Duration, Instant};

const BACKOFF: Backoff = Backoff {
    first: Duration::from_millis(100),
    longest: Duration::from_secs(2),
};

/// The minimum time between two log lines about the same failure.
const REPEAT: Duration = Duration::from_secs(60);

/// A failure that lasts longer is reported although it repeats an earlier one: otherwise the last line
/// would say that the store works.
const LASTING: Duration = Duration::from_secs(3);

/// The failed attempts to write since the last successful one.
#[derive(Debug, Default)]
pub struct Pace {
    failing: Option<Failing>,
    /// The last fault whose begin was reported, and when.
    reported: Option<(Fault, Instant)>,
}

#[derive(Debug, Clone, Copy)]
struct Failing {
    fault: Fault,
    failures: u32,
    since: Instant,
    told: Instant,
    next: Instant,
    /// True if the begin was not reported, as the same fault was reported shortly before: a disk on
    /// which small batches still fit fails again and again.
    is_repeated: bool,
}

/// A change of state that is worth a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Report {
    /// The first batch failed, or a batch failed for another reason than the ones before.
    Begins(Fault),
    /// Batches still fail: the fault and the number of failures so far.
    GoesOn(Fault, u32),
    /// A batch was written after this number of failures over this duration.
    Ends(u32, Duration),
}

impl Pace {
    /// Records a failure. `jitter` is a random number.
    pub fn failed(&mut self, fault: Fault, now: Instant, jitter: u32) -> Option<Report> {
        let is_repeated = self
            .reported
            .is_some_and(|(reported, told)| reported == fault && now.duration_since(told) < REPEAT);
        let failing = self.failing.get_or_insert(Failing {
            fault,
            failures: 0,
            since: now,
            told: now,
            next: now,
            is_repeated,
        });
        failing.failures = failing.failures.saturating_add(1);
        failing.next = now + BACKOFF.pause(failing.failures, jitter);
        let lasts = now.duration_since(failing.since) >= LASTING;
        if failing.is_repeated && failing.fault == fault && !lasts {
            return None;
        }
        if failing.failures == 1 || failing.fault != fault || failing.is_repeated {
            failing.fault = fault;
            failing.told = now;
            failing.is_repeated = false;
            self.reported = Some((fault, now));
            return Some(Report::Begins(fault));
        }
        if now.duration_since(failing.told) < REPEAT {
            return None;
        }
        failing.told = now;
        failing.is_repeated = false;
        Some(Report::GoesOn(fault, failing.failures))
    }

    /// Records that a batch was written.
    pub fn worked(&mut self, now: Instant) -> Option<Report> {
        let failing = self.failing.take()?;
        let time = now.duration_since(failing.since);
        (!failing.is_repeated).then_some(Report::Ends(failing.failures, time))
    }

    /// Returns the time until the next attempt, or `None` if it may be made immediately.
    pub fn pause(&self, now: Instant) -> Option<Duration> {
        let pause = self.failing?.next.saturating_duration_since(now);
        (!pause.is_zero()).then_some(pause)
    }

    /// Returns whether the last batch failed.
    pub fn is_failing(&self) -> bool {
        self.failing.is_some()
    }
}

impl Report {
    /// Logs the report with the name of the store's file.
    pub fn log(self, file: &'static str) {
        match self {
            Self::Begins(Fault::Full) => tracing::warn!(file, "{}", Fault::Full.warning()),
            Self::Begins(fault) => {
                tracing::error!(file, reason = %fault.reason(), "{}", fault.warning());
            }
            Self::GoesOn(fault, failures) => {
                let reason = fault.reason();
                tracing::warn!(file, %reason, failures, "the store still can't be written");
            }
            Self::Ends(failures, time) => {
                let seconds = time.as_secs();
                tracing::info!(file, failures, seconds, "the store can be written again");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Simulates an hour in which every attempt is made as soon as it is allowed.
    #[test]
    fn an_hour_of_failures_makes_at_most_one_log_line_a_minute() {
        let mut pace = Pace::default();
        let start = Instant::now();
        let (mut now, mut attempts, mut lines) = (start, 0, 0);
        while now < start + Duration::from_secs(3_600) {
            attempts += 1;
            lines += usize::from(pace.failed(Fault::Damaged, now, u32::MAX / 2).is_some());
            now += pace.pause(now).unwrap_or_default();
        }
        assert!(attempts < 3_600, "{attempts}");
        assert!((30..=61).contains(&lines), "{lines}");
    }

    #[test]
    fn recovery_is_reported_once_and_a_new_fault_is_reported_again() {
        let (mut pace, now) = (Pace::default(), Instant::now());
        assert_eq!(pace.worked(now), None);
        assert_eq!(
            pace.failed(Fault::Full, now, 0),
            Some(Report::Begins(Fault::Full))
        );
        assert_eq!(pace.failed(Fault::Full, now, 0), None);
        assert_eq!(
            pace.failed(Fault::Io, now, 0),
            Some(Report::Begins(Fault::Io))
        );
        assert!(pace.is_failing() && pace.pause(now).is_some());
        let later = now + Duration::from_secs(5);
        assert_eq!(
            pace.worked(later),
            Some(Report::Ends(3, Duration::from_secs(5)))
        );
        assert_eq!(pace.worked(later), None);
        assert!(!pace.is_failing() && pace.pause(now).is_none());
    }

    #[test]
    fn a_fault_that_comes_and_goes_is_reported_once_a_minute() {
        let (mut pace, start) = (Pace::default(), Instant::now());
        let mut lines = 0;
        for second in 0..600 {
            let now = start + Duration::from_secs(second);
            lines += usize::from(pace.failed(Fault::Full, now, 0).is_some());
            lines += usize::from(pace.worked(now).is_some());
        }
        assert!((10..=22).contains(&lines), "{lines}");
    }

    #[test]
    fn a_failure_that_lasts_is_reported_although_one_was_reported_before() {
        let (mut pace, start) = (Pace::default(), Instant::now());
        assert!(pace.failed(Fault::Full, start, 0).is_some());
        assert!(pace.worked(start).is_some());
        let again = start + Duration::from_secs(1);
        assert_eq!(pace.failed(Fault::Full, again, 0), None);
        let later = again + Duration::from_secs(4);
        let report = pace.failed(Fault::Full, later, 0);
        assert_eq!(report, Some(Report::Begins(Fault::Full)));
        assert_eq!(pace.failed(Fault::Full, later, 0), None);
        assert!(pace.worked(later).is_some());
    }
}
