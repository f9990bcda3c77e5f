//! Counters of refusals by reason. They never record which peer was refused
//! (docs/threat-model.md#protections).

use std::collections::BTreeMap;
use std::sync::Mutex;

/// Counters with stable names, one for each reason.
#[derive(Debug, Default)]
pub struct Counters(Mutex<BTreeMap<&'static str, u64>>);

impl Counters {
    /// Adds one to the counter of `reason`.
    pub fn count(&self, reason: &'static str) {
        self.add(reason, 1);
    }

    /// Adds `times` to the counter of `reason`. A reason that never occurred has no entry.
    pub fn add(&self, reason: &'static str, times: u64) {
        if times == 0 {
            return;
        }
        let mut counts = self.lock();
        let count = counts.entry(reason).or_default();
        *count = count.saturating_add(times);
    }

    /// Returns all counters.
    pub fn snapshot(&self) -> BTreeMap<&'static str, u64> {
        self.lock().clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<&'static str, u64>> {
        // A panic while the lock is held leaves no partial update.
        self.0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
