//! What is known to be wrong with the store, for whoever must be told.

use super::Fault;
use std::sync::{Mutex, PoisonError};

/// The store's faults, noted by its writer and its readers. One for each file.
#[derive(Debug, Default)]
pub struct StoreHealth(Mutex<State>);

#[derive(Debug, Default, Clone, Copy)]
struct State {
    /// Why the last batch was not written, until one is.
    failing: Option<Fault>,
    /// A page could not be read. A batch that avoids the page mends nothing.
    damaged: bool,
}

impl StoreHealth {
    /// Notes that the store could not be written.
    pub fn write_failed(&self, fault: Fault) {
        self.change(|state| state.failing = Some(fault));
        self.read_failed(fault);
    }

    /// Notes that the store could not be read.
    pub fn read_failed(&self, fault: Fault) {
        if fault == Fault::Damaged {
            self.change(|state| state.damaged = true);
        }
    }

    /// Notes that a batch was written.
    pub fn written(&self) {
        self.change(|state| state.failing = None);
    }

    /// What is wrong now. Damage stays until the daemon is started again.
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
    fn damage_stays_and_a_full_disk_does_not() {
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
