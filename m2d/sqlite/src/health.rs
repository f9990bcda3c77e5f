//! The known faults of the store, shared by everything that reports them.

use crate::Fault;
use std::sync::{Mutex, PoisonError};

/// The faults of a store, recorded by its writer and its readers. There is one instance for each
/// file.
#[derive(Debug, Default)]
pub struct StoreHealth(Mutex<State>);

#[derive(Debug, Default, Clone, Copy)]
struct State {
    /// The fault of the last batch, until a batch is written.
    failing: Option<Fault>,
    /// Set once a page could not be read. A later batch that avoids the page does not clear it.
    damaged: bool,
}

impl StoreHealth {
    /// Records that the store could not be written.
    pub fn write_failed(&self, fault: Fault) {
        self.change(|state| state.failing = Some(fault));
        self.read_failed(fault);
    }

    /// Records that the store could not be read.
    pub fn read_failed(&self, fault: Fault) {
        if fault == Fault::Damaged {
            self.change(|state| state.damaged = true);
        }
    }

    /// Records that a batch was written.
    pub fn written(&self) {
        self.change(|state| state.failing = None);
    }

    /// Returns the current fault. Damage stays until the daemon is restarted.
    pub fn fault(&self) -> Option<Fault> {
        let state = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.damaged.then_some(Fault::Damaged).or(state.failing)
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damage_persists_and_a_full_disk_does_not() {
        let health = StoreHealth::default();
        assert_eq!(health.fault(), None);
        health.write_failed(Fault::Full);
        assert_eq!(health.fault(), Some(Fault::Full));
        health.written();
        assert_eq!(health.fault(), None);
        health.read_failed(Fault::Damaged);
        health.written();
        assert_eq!(health.fault(), Some(Fault::Damaged));
    }
}
