//! What front-ends learn of reloads of the configuration.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// The result of the last reload.
#[derive(Debug, Default)]
pub struct Reloaded(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    warning: Option<String>,
    /// The settings in the file that was read last; `None` before the first reload.
    settings: Option<Vec<String>>,
}

impl Reloaded {
    /// Records that a reload failed and everything stays as it was.
    pub fn keep(&self, warning: String) {
        self.state().warning = Some(warning);
    }

    /// Records that the configuration was reloaded, with these settings.
    pub fn replace(&self, warning: Option<String>, settings: Vec<String>) {
        *self.state() = State {
            warning,
            settings: Some(settings),
        };
    }

    /// Returns the warnings for the user.
    pub(super) fn warnings(&self) -> Vec<String> {
        self.state().warning.iter().cloned().collect()
    }

    /// Returns the settings that were reloaded, without anything private.
    pub(super) fn settings(&self) -> Option<Vec<String>> {
        self.state().settings.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic while the lock is held leaves no partial update.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
