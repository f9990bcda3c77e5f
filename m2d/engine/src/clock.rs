//! The daemon's clock. [`Times`] determines the time; this module only reads the machine's clocks
//! (docs/operator/clocks.md).

use m2_core::clock::{Reading, Set, Times};
use std::fmt;
#[cfg(test)]
use std::sync::Arc;
use std::sync::{Mutex, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// The clock of this daemon, shared by all tasks.
pub struct Clock {
    source: Box<dyn Fn() -> Reading + Send + Sync>,
    times: Mutex<Times>,
    #[cfg(test)]
    machine: Arc<Mutex<Reading>>,
}

impl Clock {
    /// Returns a clock that reads this machine's clocks. `stored_ms` is the latest time in the
    /// store, 0 for a new store.
    pub fn new(stored_ms: u64) -> Self {
        let start = Instant::now();
        Self::from_source(stored_ms, move || Reading {
            system_ms: system_ms(),
            steady_ms: millis(start.elapsed().as_millis()),
        })
    }

    /// Returns a clock with another source of readings, for tests of what time changes.
    pub fn from_source(
        stored_ms: u64,
        source: impl Fn() -> Reading + Send + Sync + 'static,
    ) -> Self {
        Self {
            times: Mutex::new(Times::new(stored_ms, source())),
            source: Box::new(source),
            #[cfg(test)]
            machine: Arc::default(),
        }
    }

    /// Returns Unix time in milliseconds by the system's clock. It is used for every time that
    /// peers see and for every deadline in absolute time: days, grants, invitations, times to live.
    pub fn now_ms(&self) -> u64 {
        self.look(Times::now_ms)
    }

    /// Returns Unix time in milliseconds for entries that are listed in the order of their times:
    /// small corrections of the system's clock do not make it step back.
    pub fn order_ms(&self) -> u64 {
        self.look(Times::order_ms)
    }

    /// Returns monotonic time in milliseconds, independent of the system's clock. It is used for
    /// pauses.
    pub fn steady_ms(&self) -> u64 {
        (self.source)().steady_ms
    }

    /// Returns the number of days since 1970, UTC.
    pub fn today(&self) -> u32 {
        u32::try_from(self.now_ms() / 86_400_000).unwrap_or(u32::MAX)
    }

    /// Returns the number of steps of the system's clock that were detected since the start.
    pub fn sets(&self) -> u64 {
        self.look(|times, reading| {
            times.now_ms(reading);
            times.sets()
        })
    }

    /// Returns the last step of the system's clock, unless the clock has been confirmed since.
    pub fn unsettled(&self) -> Option<Set> {
        self.look(Times::unsettled)
    }

    /// Records that contacts' clocks agree with the system's clock.
    pub fn confirm(&self) {
        self.look(|times, _| times.confirm());
    }

    /// Reads the machine's clocks under the lock, so that readings are processed in order.
    fn look<T>(&self, at: impl FnOnce(&mut Times, Reading) -> T) -> T {
        // A panic under this lock leaves no partial update.
        let mut times = self.times.lock().unwrap_or_else(PoisonError::into_inner);
        at(&mut times, (self.source)())
    }
}

/// The number of clock steps that a task has seen.
#[derive(Debug, Default)]
pub struct SetsSeen(u64);

impl SetsSeen {
    /// Returns whether the clock was stepped since the last call.
    pub fn changed(&mut self, clock: &Clock) -> bool {
        let sets = clock.sets();
        std::mem::replace(&mut self.0, sets) != sets
    }
}

#[cfg(test)]
impl Clock {
    /// Returns a clock that tests control, starting at the machine's current time.
    pub fn manual() -> Self {
        let machine = Arc::new(Mutex::new(Reading {
            system_ms: system_ms(),
            steady_ms: 0,
        }));
        let read = machine.clone();
        let clock = Self::from_source(0, move || {
            *read.lock().unwrap_or_else(PoisonError::into_inner)
        });
        Self { machine, ..clock }
    }

    /// Advances both clocks.
    pub fn pass(&self, time_ms: u64) {
        let mut machine = self.machine.lock().unwrap_or_else(PoisonError::into_inner);
        machine.system_ms += time_ms;
        machine.steady_ms += time_ms;
    }

    /// Advances both clocks until the system's clock shows `until_ms`.
    pub fn raise(&self, until_ms: u64) {
        self.pass(until_ms.saturating_sub(self.now_ms()));
    }

    /// Steps the system's clock forwards or backwards.
    pub fn set(&self, by_ms: i64) {
        let mut machine = self.machine.lock().unwrap_or_else(PoisonError::into_inner);
        machine.system_ms = machine.system_ms.saturating_add_signed(by_ms);
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}

fn system_ms() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| millis(since.as_millis()))
}

fn millis(count: u128) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}
