//! Counts of what was refused, by reason; never by whom (spec §10).

use std::collections::BTreeMap;
use std::sync::Mutex;

/// Counters with stable names.
#[derive(Debug, Default)]
pub struct Counters(Mutex<BTreeMap<&'static str, u64>>);

impl Counters {
    /// Counts one.
    pub fn count(&self, reason: &'static str) {
        self.add(reason, 1);
    }

    /// Counts several at once; a reason that never occurred has no entry.
    pub fn add(&self, reason: &'static str, times: u64) {
        if times == 0 {
            return;
        }
        let mut counts = self.lock();
        let count = counts.entry(reason).or_default();
        *count = count.saturating_add(times);
    }

    /// All counts so far.
    pub fn snapshot(&self) -> BTreeMap<&'static str, u64> {
        self.lock().clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<&'static str, u64>> {
        // A panic while counting leaves nothing half done.
        self.0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
