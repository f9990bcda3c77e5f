//! What the time is, given the machine's two clocks and the latest stored time. Sans-IO.

/// No M2 daemon ran before this moment (2026-11-01), so no clock that shows less is right.
const EARLIEST_MS: u64 = 1_793_491_200_000;
/// A difference of more than this between the two clocks is a setting of the clock, not drift.
const STEP_MS: u64 = 10_000;
/// A daemon that did not run for longer than this can't tell that time from a clock that was set
/// ahead.
const AWAY_MS: u64 = 86_400_000;
/// A clock that was not set again within this time is taken for right.
const SETTLED_MS: u64 = 3_600_000;
/// The most by which the order of entries may run ahead of the time.
const SLEW_MS: u64 = 300_000;

/// One look at the machine's clocks, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Reading {
    /// Unix time by the system's clock, which may be set.
    pub system_ms: u64,
    /// Time since some moment by a clock that only runs on.
    pub steady_ms: u64,
}

/// That the system's clock was set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Set {
    /// By how much, milliseconds; negative: back.
    pub by_ms: i64,
    /// For how long this daemon has run since, milliseconds.
    pub ago_ms: u64,
    /// It happened while the daemon did not run; set ahead, it may just not have run for that time.
    pub at_start: bool,
}

/// The model of the daemon's clock.
///
/// - *now* is the system's clock, whatever is stored: a stored time that is wrong must not outlive
///   the mistake. Only before 2026-11-01 it runs on from there.
/// - *order* is never earlier than the latest entry by a small correction: it runs at half the
///   speed until the time has caught up. A latest entry that is further ahead is not believed.
/// - A clock that was set is *unsettled* for an hour, or until contacts' clocks agree with it.
///   Nothing is deleted for its age meanwhile, and no stored time is taken for wrong.
#[derive(Debug)]
pub struct Times {
    start_steady_ms: u64,
    /// What *now* was at the last look, and the steady clock at it.
    last: (u64, u64),
    /// The same of *order*.
    order: (u64, u64),
    sets: u64,
    set: Option<Set>,
    /// The steady clock when it was set.
    set_at: u64,
}

impl Times {
    /// The times of a daemon that starts now. `stored_ms` is the latest time in its store.
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

    /// Unix time for everything but order.
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

    /// Unix time for entries in the order of their times.
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

    /// How often the clock was set since the start.
    pub const fn sets(&self) -> u64 {
        self.sets
    }

    /// How the clock was set last, unless that is settled.
    pub fn unsettled(&mut self, reading: Reading) -> Option<Set> {
        self.now_ms(reading);
        let ago_ms = reading.steady_ms.saturating_sub(self.set_at);
        let set = self.set.filter(|_| ago_ms < SETTLED_MS);
        self.set = set;
        set.map(|set| Set { ago_ms, ..set })
    }

    /// Other clocks agree with the system's clock as it is now.
    pub const fn confirm(&mut self) {
        self.set = None;
    }
}

/// The system's clock, or the time since the earliest possible moment if it shows less.
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
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const NOW: u64 = EARLIEST_MS + 100 * DAY;
    const HOUR: u64 = 3_600_000;
    const DAY: u64 = 24 * HOUR;
    /// The jumps that are tried, milliseconds.
    const JUMPS: [u64; 5] = [60_000, HOUR, 20 * HOUR, 3 * DAY, 400 * DAY];

    fn at(system_ms: u64, steady_ms: u64) -> Reading {
        Reading {
            system_ms,
            steady_ms,
        }
    }

    #[test]
    fn after_a_jump_ahead_and_back_the_time_is_the_systems_and_runs_on() {
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
    fn a_stored_time_ahead_moves_neither_now_nor_the_order_for_long() {
        for jump in JUMPS {
            let mut times = Times::new(NOW + jump, at(NOW, 0));
            assert_eq!(times.now_ms(at(NOW, 0)), NOW);
            let set = times.unsettled(at(NOW, 0)).unwrap();
            assert!(set.at_start && set.by_ms < 0 && set.by_ms.unsigned_abs() == jump);
            let order = times.order_ms(at(NOW, 0));
            assert_eq!(order, if jump <= SLEW_MS { NOW + jump } else { NOW });
            // After twice the difference it is the time again.
            let later = 2 * SLEW_MS + 1;
            assert_eq!(times.order_ms(at(NOW + later, later)), NOW + later);
        }
    }

    #[test]
    fn a_small_correction_does_not_turn_the_order_and_is_no_set() {
        let mut times = Times::new(0, at(NOW, 0));
        let first = times.order_ms(at(NOW + 5_000, 5_000));
        let second = times.order_ms(at(NOW + 5_100, 6_000));
        assert!(second > first);
        assert_eq!(times.now_ms(at(NOW + 5_100, 6_000)), NOW + 5_100);
        assert_eq!(times.sets(), 0);
        assert_eq!(times.unsettled(at(NOW + 5_100, 6_000)), None);
    }

    #[test]
    fn a_clock_before_the_build_runs_on_from_there() {
        let mut times = Times::new(0, at(0, 500));
        assert_eq!(times.now_ms(at(0, 500)), EARLIEST_MS);
        assert_eq!(times.now_ms(at(2_000, 2_500)), EARLIEST_MS + 2_000);
        assert_eq!(times.now_ms(at(NOW, 2_600)), NOW);
        assert_eq!(times.sets(), 1);
    }

    #[test]
    fn a_set_clock_is_settled_after_an_hour_or_by_others() {
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
    fn a_daemon_that_was_off_for_days_is_unsettled_and_one_of_a_night_is_not() {
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
