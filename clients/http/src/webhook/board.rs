//! The states of the webhooks, for health and metrics.

use std::sync::{Arc, Mutex, PoisonError};

/// The states of all webhooks.
#[derive(Debug, Default)]
pub(crate) struct Board(Vec<Arc<Entry>>);

/// A webhook on the board. Its task writes the state.
#[derive(Debug)]
pub(super) struct Entry {
    name: String,
    state: Mutex<State>,
}

/// The state of a webhook since the start.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct State {
    /// The number of events that the receiver accepted.
    pub(crate) delivered: u64,
    /// The number of attempts that failed.
    pub(crate) failed: u64,
    /// Why the webhook delivers no events; absent if it does.
    pub(crate) failure: Option<String>,
}

impl Board {
    pub(super) fn add(&mut self, name: &str) -> Arc<Entry> {
        let entry = Arc::new(Entry {
            name: name.to_owned(),
            state: Mutex::default(),
        });
        self.0.push(entry.clone());
        entry
    }

    /// Returns the number of webhooks, and the number of those that fail.
    pub(crate) fn totals(&self) -> (usize, usize) {
        let failing = self.0.iter().filter(|it| it.state().failure.is_some());
        (self.0.len(), failing.count())
    }

    /// Returns the names with the states.
    pub(crate) fn states(&self) -> impl Iterator<Item = (&str, State)> {
        self.0.iter().map(|it| (it.name.as_str(), it.state()))
    }
}

impl Entry {
    /// Changes the state. Logs when the failure changes.
    pub(super) fn update(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let before = state.failure.clone();
        change(&mut state);
        match &state.failure {
            after if *after == before => {}
            Some(failure) => tracing::warn!(webhook = self.name, "the webhook fails: {failure}"),
            None => tracing::info!(webhook = self.name, "the webhook delivers again"),
        }
    }

    fn state(&self) -> State {
        let state = self.state.lock();
        state.unwrap_or_else(PoisonError::into_inner).clone()
    }
}
