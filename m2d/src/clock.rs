//! The daemon's clock. [`Times`] decides what the time is; this module only reads the machine's
//! clocks (docs/operator/clocks.md).

mod opinion;
mod times;

pub use opinion::{Opinion, agrees, opinion};
pub use times::{Reading, Set, Times};

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// The times of this daemon. Shared by all tasks.
pub struct Clock {
    source: Box<dyn Fn() -> Reading + Send + Sync>,
    times: Mutex<Times>,
    #[cfg(test)]
    machine: std::sync::Arc<Mutex<Reading>>,
}

impl Clock {
    /// A clock of this machine. `stored_ms` is the latest time in the store; 0 when it is new.
    pub fn new(stored_ms: u64) -> Self {
        let start = Instant::now();
        Self::reading(stored_ms, move || Reading {
            system_ms: system_ms(),
            steady_ms: millis(start.elapsed().as_millis()),
        })
    }

    fn reading(stored_ms: u64, source: impl Fn() -> Reading + Send + Sync + 'static) -> Self {
        Self {
            times: Mutex::new(Times::new(stored_ms, source())),
            source: Box::new(source),
            #[cfg(test)]
            machine: std::sync::Arc::default(),
        }
    }

    /// Unix time in milliseconds, for everything that is said to others and for what ends at a
    /// stated time: days, grants, invitations, times to live. The system's clock.
    pub fn now_ms(&self) -> u64 {
        self.look(Times::now_ms)
    }

    /// Unix time in milliseconds, for entries that are listed in the order of their times: small
    /// corrections of the system's clock don't make it step back.
    pub fn order_ms(&self) -> u64 {
        self.look(Times::order_ms)
    }

    /// Milliseconds that only run on, whatever is done to the system's clock: for pauses.
    pub fn steady_ms(&self) -> u64 {
        (self.source)().steady_ms
    }

    /// Days since 1970, UTC.
    pub fn today(&self) -> u32 {
        u32::try_from(self.now_ms() / 86_400_000).unwrap_or(u32::MAX)
    }

    /// How often the system's clock was seen to be set since the start.
    pub fn sets(&self) -> u64 {
        self.look(|times, reading| {
            times.now_ms(reading);
            times.sets()
        })
    }

    /// How the system's clock was set last, unless it is known by now to be right.
    pub fn unsettled(&self) -> Option<Set> {
        self.look(Times::unsettled)
    }

    /// Contacts' clocks agree with the system's clock.
    pub fn confirm(&self) {
        self.look(|times, _| times.confirm());
    }

    /// Reads the machine's clocks under the lock, so that no earlier reading is looked at later.
    fn look<T>(&self, at: impl FnOnce(&mut Times, Reading) -> T) -> T {
        // Nothing is ever half done under this lock.
        let mut times = self.times.lock().unwrap_or_else(PoisonError::into_inner);
        at(&mut times, (self.source)())
    }
}

/// What a task knows of how often the clock was set.
#[derive(Debug, Default)]
pub struct SetsSeen(u64);

impl SetsSeen {
    /// Whether the clock was set since the last call.
    pub fn changed(&mut self, clock: &Clock) -> bool {
        let sets = clock.sets();
        std::mem::replace(&mut self.0, sets) != sets
    }
}

#[cfg(test)]
impl Clock {
    /// A clock that tests move, from the machine's present time on.
    pub fn manual() -> Self {
        let machine = std::sync::Arc::new(Mutex::new(Reading {
            system_ms: system_ms(),
            steady_ms: 0,
        }));
        let read = machine.clone();
        let clock = Self::reading(0, move || {
            *read.lock().unwrap_or_else(PoisonError::into_inner)
        });
        Self { machine, ..clock }
    }

    /// Lets time pass.
    pub fn pass(&self, time_ms: u64) {
        let mut machine = self.machine.lock().unwrap_or_else(PoisonError::into_inner);
        machine.system_ms += time_ms;
        machine.steady_ms += time_ms;
    }

    /// Lets time pass until this moment.
    pub fn raise(&self, until_ms: u64) {
        self.pass(until_ms.saturating_sub(self.now_ms()));
    }

    /// Sets the system's clock ahead, or back.
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
