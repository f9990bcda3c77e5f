//! Determines the time from the machine's two clocks and the latest stored time. Sans-IO.

/// No M2 daemon ran before this moment (2026-11-01), so a clock that shows an earlier time is
/// wrong.
const EARLIEST_MS: u64 = 1_793_491_200_000;
/// A larger difference between the two clocks counts as a step of the system's clock, not as drift.
const STEP_MS: u64 = 10_000;
/// After a longer downtime, elapsed time can't be distinguished from a clock that was set forwards.
const AWAY_MS: u64 = 86_400_000;
/// A clock that was not stepped again within this time is considered right.
const SETTLED_MS: u64 = 3_600_000;
/// The maximum by which the order time may run ahead of the current time.
const SLEW_MS: u64 = 300_000;

/// One reading of the machine's clocks, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Reading {
    /// Unix time by the system's clock, which may be stepped.
    pub system_ms: u64,
    /// Monotonic time since an arbitrary moment.
    pub steady_ms: u64,
}

/// A step of the system's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Set {
    /// The size of the step in milliseconds; negative if the clock was set back.
    pub by_ms: i64,
    /// The running time of this daemon since the step, in milliseconds.
    pub ago_ms: u64,
    /// True if it happened while the daemon was not running. A positive step may then only be
    /// downtime.
    pub at_start: bool,
}

/// The model of the daemon's clock.
///
/// - *now* is the system's clock, whatever is stored: a wrong stored time must not outlive the
///   mistake. While the system's clock shows a time before 2026-11-01, *now* runs on from that
///   date.
/// - *order* never steps behind the latest entry for a small correction: it runs at half speed
///   until the current time has caught up. A latest entry that is further ahead is ignored.
/// - A clock that was stepped is *unsettled* for an hour, or until contacts' clocks agree with it.
///   Until then nothing is deleted for its age, and no stored time is considered wrong.
#[derive(Debug)]
pub struct Times {
    start_steady_ms: u64,
    /// The value of *now* at the last reading, and the monotonic clock then.
    last: (u64, u64),
    /// The last value of *order*, and the monotonic clock then.
    order: (u64, u64),
    sets: u64,
    set: Option<Set>,
    /// The monotonic clock at the last step.
    set_at: u64,
}

impl Times {
    /// Returns the state of a daemon that starts now. `stored_ms` is the latest time in its store.
    pub fn new(stored_ms: u64, reading: Reading) -> Self {
        let now = shown(reading, reading.steady_ms);
        let mut times = Self {
            start_steady_ms: reading.steady_ms,
            last: (now, reading.steady_ms),
            order: (stored_ms, reading.steady_ms),
            sets: 0,
            set: None,
            set_at: reading.steady_ms,
        };
        let is_back = stored_ms > now.saturating_add(STEP_MS);
        let is_ahead = stored_ms > 0 && now > stored_ms.saturating_add(AWAY_MS);
        if is_back || is_ahead {
            times.set = Some(Set {
                by_ms: difference(now, stored_ms),
                ago_ms: 0,
                at_start: true,
            });
        }
        times
    }

    /// Returns Unix time for everything except order.
    pub fn now_ms(&mut self, reading: Reading) -> u64 {
        let now = shown(reading, self.start_steady_ms);
        let (before, steady) = self.last;
        let passed = reading.steady_ms.saturating_sub(steady);
        let by_ms = difference(now, before.saturating_add(passed));
        if by_ms.unsigned_abs() > STEP_MS {
            self.sets += 1;
            self.set_at = reading.steady_ms;
            self.set = Some(Set {
                by_ms,
                ago_ms: 0,
                at_start: false,
            });
        }
        self.last = (now, reading.steady_ms);
        now
    }

    /// Returns Unix time for entries that are listed in the order of their times.
    pub fn order_ms(&mut self, reading: Reading) -> u64 {
        let now = self.now_ms(reading);
        let (before, steady) = self.order;
        let passed = reading.steady_ms.saturating_sub(steady);
        let slewed = before.saturating_add(passed / 2);
        let is_believed = slewed <= now.saturating_add(SLEW_MS);
        let order = if is_believed { slewed.max(now) } else { now };
        self.order = (order, reading.steady_ms);
        order
    }

    /// Returns the number of steps since the start.
    pub const fn sets(&self) -> u64 {
        self.sets
    }

    /// Returns the last step of the clock, unless it is settled.
    pub fn unsettled(&mut self, reading: Reading) -> Option<Set> {
        self.now_ms(reading);
        let ago_ms = reading.steady_ms.saturating_sub(self.set_at);
        let set = self.set.filter(|_| ago_ms < SETTLED_MS);
        self.set = set;
        set.map(|set| Set { ago_ms, ..set })
    }

    /// Records that other clocks agree with the system's current clock.
    pub const fn confirm(&mut self) {
        self.set = None;
    }
}

/// Returns the system's clock, or time running on from the earliest possible moment if the clock
/// shows less.
fn shown(reading: Reading, start_steady_ms: u64) -> u64 {
    if reading.system_ms >= EARLIEST_MS {
        return reading.system_ms;
    }
    let running = reading.steady_ms.saturating_sub(start_steady_ms);
    EARLIEST_MS.saturating_add(running)
}

fn difference(later: u64, earlier: u64) -> i64 {
    let difference = i128::from(later) - i128::from(earlier);
    i64::try_from(difference).unwrap_or(if difference < 0 { i64::MIN } else { i64::MAX })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = EARLIEST_MS + 100 * DAY;
    const HOUR: u64 = 3_600_000;
    const DAY: u64 = 24 * HOUR;
    /// The sizes of the steps under test, in milliseconds.
    const JUMPS: [u64; 5] = [60_000, HOUR, 20 * HOUR, 3 * DAY, 400 * DAY];

    fn at(system_ms: u64, steady_ms: u64) -> Reading {
        Reading {
            system_ms,
            steady_ms,
        }
    }

    #[test]
    fn after_a_step_ahead_and_back_time_follows_the_system_clock() {
        for jump in JUMPS {
            let mut times = Times::new(NOW, at(NOW, 0));
            assert_eq!(times.now_ms(at(NOW + jump, 1)), NOW + jump);
            assert_eq!(times.order_ms(at(NOW + jump, 2)), NOW + jump);
            for second in 1..100 {
                let reading = at(NOW + second * 1_000, second * 1_000);
                assert_eq!(times.now_ms(reading), NOW + second * 1_000);
                let before = times.order.0;
                let order = times.order_ms(reading);
                assert!(order >= NOW && order <= NOW + SLEW_MS + second * 1_000);
                assert!(second == 1 || order > before, "it runs on");
            }
            assert_eq!(times.sets(), 2);
        }
    }

    #[test]
    fn a_stored_time_ahead_does_not_affect_now_and_soon_not_order() {
        for jump in JUMPS {
            let mut times = Times::new(NOW + jump, at(NOW, 0));
            assert_eq!(times.now_ms(at(NOW, 0)), NOW);
            let set = times.unsettled(at(NOW, 0)).unwrap();
            assert!(set.at_start && set.by_ms < 0 && set.by_ms.unsigned_abs() == jump);
            let order = times.order_ms(at(NOW, 0));
            assert_eq!(order, if jump <= SLEW_MS { NOW + jump } else { NOW });
            // After twice the difference, order equals the current time again.
            let later = 2 * SLEW_MS + 1;
            assert_eq!(times.order_ms(at(NOW + later, later)), NOW + later);
        }
    }

    #[test]
    fn a_small_correction_keeps_the_order_and_is_not_a_step() {
        let mut times = Times::new(0, at(NOW, 0));
        let first = times.order_ms(at(NOW + 5_000, 5_000));
        let second = times.order_ms(at(NOW + 5_100, 6_000));
        assert!(second > first);
        assert_eq!(times.now_ms(at(NOW + 5_100, 6_000)), NOW + 5_100);
        assert_eq!(times.sets(), 0);
        assert_eq!(times.unsettled(at(NOW + 5_100, 6_000)), None);
    }

    #[test]
    fn a_clock_before_the_build_runs_on_from_the_earliest_time() {
        let mut times = Times::new(0, at(0, 500));
        assert_eq!(times.now_ms(at(0, 500)), EARLIEST_MS);
        assert_eq!(times.now_ms(at(2_000, 2_500)), EARLIEST_MS + 2_000);
        assert_eq!(times.now_ms(at(NOW, 2_600)), NOW);
        assert_eq!(times.sets(), 1);
    }

    #[test]
    fn a_stepped_clock_settles_after_an_hour_or_by_confirmation() {
        let mut times = Times::new(0, at(NOW, 0));
        assert_eq!(times.unsettled(at(NOW, 0)), None);
        for (sets, by_ms) in [(1, 3 * DAY as i64), (2, -(3 * DAY as i64))] {
            let system = if by_ms > 0 { NOW + 3 * DAY } else { NOW };
            let steady = sets * 10 * HOUR;
            let set = times.unsettled(at(system + steady, steady)).unwrap();
            assert_eq!((set.by_ms, set.at_start), (by_ms, false));
            let almost = steady + HOUR - 1;
            assert!(times.unsettled(at(system + almost, almost)).is_some());
            let over = steady + HOUR;
            assert_eq!(times.unsettled(at(system + over, over)), None);
        }
        assert!(times.unsettled(at(NOW, 40 * HOUR)).is_some());
        times.confirm();
        assert_eq!(times.unsettled(at(NOW, 40 * HOUR)), None);
    }

    #[test]
    fn a_downtime_of_days_is_unsettled_and_one_of_a_night_is_not() {
        let mut long = Times::new(NOW - 3 * DAY, at(NOW, 0));
        let set = long.unsettled(at(NOW, 0)).unwrap();
        assert!(set.at_start && set.by_ms == 3 * DAY as i64);
        let mut night = Times::new(NOW - 12 * HOUR, at(NOW, 0));
        assert_eq!(night.unsettled(at(NOW, 0)), None);
        let mut new = Times::new(0, at(NOW, 0));
        assert_eq!(new.unsettled(at(NOW, 0)), None);
    }

    #[test]
    fn no_reading_overflows() {
        let mut times = Times::new(u64::MAX, at(u64::MAX, u64::MAX));
        for system in [0, NOW, u64::MAX] {
            for steady in [0, u64::MAX] {
                times.order_ms(at(system, steady));
                let _ = times.unsettled(at(system, steady));
            }
        }
    }
}
