//! When the service manager's watchdog is fed: only after a probe has passed through the daemon.
//!
//! The caller polls for the next [`Step`], runs the probe, and reports its end with
//! [`Watchdog::passed`]. A probe runs every quarter of the timeout and must pass within half of it, so
//! that the watchdog of a daemon that works is fed after three quarters at the latest.

use std::time::{Duration, Instant};

/// Decides when to probe and when to feed. It has no clock.
#[derive(Debug)]
pub struct Watchdog {
    /// The pause between two probes.
    pause: Duration,
    /// How long a probe may take.
    deadline: Duration,
    running: Option<Probe>,
    next: Instant,
}

#[derive(Debug)]
struct Probe {
    since: Instant,
    is_late: bool,
}

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Begin a probe.
    Probe,
    /// Report that the probe has missed its deadline. This occurs once for each probe.
    Late,
    /// Nothing is due before this time.
    Wait(Instant),
    /// Nothing is due until the probe passes.
    Idle,
}

impl Watchdog {
    /// Returns the state for a watchdog that must be fed within each `timeout`. The first probe is due
    /// at once.
    pub fn new(timeout: Duration, now: Instant) -> Self {
        Self {
            pause: timeout / 4,
            deadline: timeout / 2,
            running: None,
            next: now,
        }
    }

    /// Returns what to do at `now`.
    pub fn poll(&mut self, now: Instant) -> Step {
        let Some(probe) = &mut self.running else {
            if now < self.next {
                return Step::Wait(self.next);
            }
            self.running = Some(Probe {
                since: now,
                is_late: false,
            });
            return Step::Probe;
        };
        let until = probe.since + self.deadline;
        if probe.is_late {
            return Step::Idle;
        }
        if now <= until {
            return Step::Wait(until + Duration::from_millis(1));
        }
        probe.is_late = true;
        Step::Late
    }

    /// Takes the end of the probe. Returns whether the watchdog is fed: not after the deadline. Then the
    /// next probe, which is due at once, shows whether the daemon works again.
    pub fn passed(&mut self, now: Instant) -> bool {
        let Some(probe) = self.running.take() else {
            return false;
        };
        let is_in_time = now.duration_since(probe.since) <= self.deadline;
        self.next = if is_in_time { now + self.pause } else { now };
        is_in_time
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(60);

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    #[test]
    fn a_daemon_that_works_is_fed_every_quarter() {
        let mut now = Instant::now();
        let mut watchdog = Watchdog::new(TIMEOUT, now);
        for _ in 0..5 {
            assert_eq!(watchdog.poll(now), Step::Probe);
            assert!(watchdog.passed(now));
            let next = now + seconds(15);
            assert_eq!(watchdog.poll(now), Step::Wait(next));
            now = next;
        }
    }

    #[test]
    fn the_slowest_probe_in_time_is_fed_before_the_timeout() {
        let start = Instant::now();
        let mut watchdog = Watchdog::new(TIMEOUT, start);
        assert_eq!(watchdog.poll(start), Step::Probe);
        assert!(watchdog.passed(start));
        let begun = start + seconds(15);
        assert_eq!(watchdog.poll(begun), Step::Probe);
        let end = begun + seconds(30);
        assert!(watchdog.passed(end));
        assert!(end - start < TIMEOUT);
    }

    #[test]
    fn a_daemon_that_hangs_is_reported_once_and_never_fed() {
        let start = Instant::now();
        let mut watchdog = Watchdog::new(TIMEOUT, start);
        assert_eq!(watchdog.poll(start), Step::Probe);
        let Step::Wait(until) = watchdog.poll(start) else {
            panic!("the probe has a deadline");
        };
        assert_eq!(watchdog.poll(until), Step::Late);
        // No second probe is queued behind the first.
        for later in [31, 60, 600] {
            assert_eq!(watchdog.poll(start + seconds(later)), Step::Idle);
        }
    }

    #[test]
    fn a_late_end_feeds_nothing_and_is_followed_by_another_probe() {
        let start = Instant::now();
        let mut watchdog = Watchdog::new(TIMEOUT, start);
        assert_eq!(watchdog.poll(start), Step::Probe);
        let end = start + seconds(31);
        assert_eq!(watchdog.poll(end), Step::Late);
        assert!(!watchdog.passed(end));
        assert_eq!(watchdog.poll(end), Step::Probe);
        assert!(watchdog.passed(end + seconds(1)));
    }

    #[test]
    fn an_end_without_a_probe_feeds_nothing() {
        let start = Instant::now();
        assert!(!Watchdog::new(TIMEOUT, start).passed(start));
    }
}
