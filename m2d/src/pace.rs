//! How a store's batches go on after one could not be written: pauses between attempts, and log lines that
//! don't repeat themselves.

use crate::backoff::Backoff;
use crate::store::Fault;
use std::time::{Duration, Instant};

const BACKOFF: Backoff = Backoff {
    first: Duration::from_millis(100),
    longest: Duration::from_secs(2),
};

/// How often the log repeats that the store still fails.
const REPEAT: Duration = Duration::from_secs(60);

/// The attempts to write since the last one that succeeded.
#[derive(Debug, Default)]
pub(crate) struct Pace(Option<Failing>);

#[derive(Debug, Clone, Copy)]
struct Failing {
    fault: Fault,
    failures: u32,
    since: Instant,
    told: Instant,
    next: Instant,
}

/// What the log says of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Report {
    /// The first batch failed, or one failed in another way than those before it.
    Begins(Fault),
    /// Batches still fail.
    GoesOn(Fault, u32),
    /// A batch was written after this number of failures and this time.
    Ends(u32, Duration),
}

impl Pace {
    /// Notes a failure. `jitter` is a random number.
    pub(crate) fn failed(&mut self, fault: Fault, now: Instant, jitter: u32) -> Option<Report> {
        let failing = self.0.get_or_insert(Failing {
            fault,
            failures: 0,
            since: now,
            told: now,
            next: now,
        });
        failing.failures = failing.failures.saturating_add(1);
        failing.next = now + BACKOFF.pause(failing.failures, jitter);
        if failing.failures == 1 || failing.fault != fault {
            failing.fault = fault;
            failing.told = now;
            return Some(Report::Begins(fault));
        }
        if now.duration_since(failing.told) < REPEAT {
            return None;
        }
        failing.told = now;
        Some(Report::GoesOn(fault, failing.failures))
    }

    /// Notes that a batch was written.
    pub(crate) fn worked(&mut self, now: Instant) -> Option<Report> {
        let failing = self.0.take()?;
        Some(Report::Ends(
            failing.failures,
            now.duration_since(failing.since),
        ))
    }

    /// How long to wait until the next attempt; none while batches can be written.
    pub(crate) fn pause(&self, now: Instant) -> Option<Duration> {
        let pause = self.0?.next.saturating_duration_since(now);
        (!pause.is_zero()).then_some(pause)
    }

    /// Whether the last batch failed.
    pub(crate) fn is_failing(&self) -> bool {
        self.0.is_some()
    }
}

impl Report {
    /// Writes it to the log, with the name of the store's file.
    pub(crate) fn log(self, file: &'static str) {
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

    /// An hour in which every attempt is made as soon as it may be.
    #[test]
    fn an_hour_of_failures_is_some_thousand_attempts_and_a_line_a_minute() {
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
    fn the_end_is_told_once_and_another_fault_is_a_beginning() {
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
}
