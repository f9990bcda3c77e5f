//! Combines the replay guard with its log, for the endpoint.

use crate::replay::{ReplayGuard, ReplayLog, ReplayRecord};
use m2_crypto::Secret;
use rand_core::UnwrapErr;
use std::fmt;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The outcome of recording a connection attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Remembered {
    /// The attempt is new, and written to the log.
    Fresh,
    /// The attempt is new, but could not be written. After a restart it could be replayed, so it
    /// must not be answered.
    Unwritten,
    /// The attempt was accepted before.
    Repeat,
}

/// Remembers accepted connection attempts, and writes them to the log if there is one.
pub(crate) struct ReplayMemory(Mutex<Parts>);

struct Parts {
    guard: ReplayGuard,
    log: Option<Box<dyn ReplayLog>>,
    /// True if the last write failed, which was logged.
    failing: bool,
}

impl ReplayMemory {
    /// Loads the recorded attempts. Without a log the memory ends with the process.
    ///
    /// Errors: the log can't be read or compacted.
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

    /// Returns whether an attempt was accepted before.
    pub(crate) fn is_repeat(&self, original_id: &[u8]) -> bool {
        self.lock().guard.is_repeat(original_id)
    }

    /// Records an attempt. Must be called before anything is answered.
    pub(crate) fn remember(&self, original_id: &[u8], now_s: u64) -> Remembered {
        let mut parts = self.lock();
        let Some(record) = parts.guard.check_and_insert(original_id, now_s) else {
            return Remembered::Repeat;
        };
        let written = parts.write(&record);
        if written.is_err() {
            // The caller's next packet tries to write again.
            parts.guard.withdraw(&record);
        }
        parts.tell(written.as_ref().err());
        match written {
            Ok(()) => Remembered::Fresh,
            Err(_) => Remembered::Unwritten,
        }
    }

    /// Makes all records survive a power loss.
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

    /// Logs only the first failure after a success: callers must not be able to flood the log.
    fn tell(&mut self, error: Option<&io::Error>) {
        match error {
            Some(error) if !self.failing => tracing::warn!(
                %error,
                "can't write the replay log: incoming connections are ignored; is the disk full?"
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
