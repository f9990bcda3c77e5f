//! Locks and times that the parts of a relay share.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// Returns the milliseconds since the relay started.
pub(crate) fn now_ms(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}

/// Locks a table. No update under these locks can be interrupted halfway, so a poisoned lock is still consistent.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
