//! The replay guard together with its log, as the endpoint uses them.

use crate::replay::{ReplayGuard, ReplayLog, ReplayRecord};
use m2_crypto::Secret;
use rand_core::UnwrapErr;
use std::fmt;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What came of an attempt to remember a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Remembered {
    /// It is new, and written down.
    Fresh,
    /// It is new, but could not be written down. After a restart it could be played again, so it
    /// must not be answered.
    Unwritten,
    /// It was accepted before.
    Repeat,
}

/// Remembers accepted calls, and writes them down if there is a log.
pub(crate) struct ReplayMemory(Mutex<Parts>);

struct Parts {
    guard: ReplayGuard,
    log: Option<Box<dyn ReplayLog>>,
    /// The last write failed, and it was said.
    failing: bool,
}

impl ReplayMemory {
    /// Loads what is on record. Without a log the memory ends with the process.
    pub(crate) fn load(
        log: Option<Box<dyn ReplayLog>>,
        capacity: usize,
        now_s: u64,
    ) -> io::Result<Self> {
        let mut log = log;
        let (key, records) = match &mut log {
            Some(log) => log.load()?,
            None => (
                Secret::random(&mut UnwrapErr(getrandom::SysRng)),
                Vec::new(),
            ),
        };
        let guard = ReplayGuard::new(key, records, capacity, now_s);
        if let Some(log) = &mut log {
            log.compact(&mut guard.records())?;
        }
        Ok(Self(Mutex::new(Parts {
            guard,
            log,
            failing: false,
        })))
    }

    /// Whether a call was accepted before.
    pub(crate) fn is_repeat(&self, original_id: &[u8]) -> bool {
        self.lock().guard.is_repeat(original_id)
    }

    /// Remembers a call; to be called before anything is answered.
    pub(crate) fn remember(&self, original_id: &[u8], now_s: u64) -> Remembered {
        let mut parts = self.lock();
        let Some(record) = parts.guard.check_and_insert(original_id, now_s) else {
            return Remembered::Repeat;
        };
        let written = parts.write(&record);
        if written.is_err() {
            // The caller's next attempt finds the disk as it is then.
            parts.guard.take_back(&record);
        }
        parts.tell(written.as_ref().err());
        match written {
            Ok(()) => Remembered::Fresh,
            Err(_) => Remembered::Unwritten,
        }
    }

    /// Makes all records survive a loss of power.
    pub(crate) fn sync(&self) {
        if let Some(log) = &mut self.lock().log
            && let Err(error) = log.sync()
        {
            tracing::warn!(%error, "can't sync the replay log");
        }
    }

    fn lock(&self) -> MutexGuard<'_, Parts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Parts {
    fn write(&mut self, record: &ReplayRecord) -> io::Result<()> {
        let Some(log) = &mut self.log else {
            return Ok(());
        };
        log.append(record)?;
        if let Err(error) = log.compact(&mut self.guard.records()) {
            tracing::warn!(%error, "can't shorten the replay log");
        }
        Ok(())
    }

    /// Warns of the first failure after a success: callers must not be able to fill the log.
    fn tell(&mut self, error: Option<&io::Error>) {
        match error {
            Some(error) if !self.failing => tracing::warn!(
                %error,
                "can't write the replay log: nobody who calls is answered; is the disk full?"
            ),
            None if self.failing => tracing::info!("the replay log can be written again"),
            _ => {}
        }
        self.failing = error.is_some();
    }
}

impl fmt::Debug for ReplayMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ReplayMemory(..)")
    }
}
