//! The workers that share client names, and the queues of these names.

use crate::event_filter::EventFilter;
use crate::shared_queue::{SharedQueue, SharedTerms, WorkerId};
use std::collections::HashMap;

/// The stream of a worker.
#[derive(Debug, Clone)]
pub(crate) struct Worker {
    /// The name that it shares.
    pub(crate) client: String,
    /// The events that are given to the workers of the name.
    pub(crate) filter: EventFilter,
    /// The terms under which it is given events.
    pub(crate) terms: SharedTerms,
}

/// The workers that are connected, and the queues that are loaded.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    /// The workers that have a stream.
    pub(crate) workers: HashMap<WorkerId, Worker>,
    /// The queues of their names. A queue is loaded at its first use, and again after a rollback.
    pub(crate) queues: HashMap<String, SharedQueue>,
}

impl Shared {
    /// Iterates over the workers of a name.
    pub(crate) fn of<'a>(&'a self, client: &'a str) -> impl Iterator<Item = &'a Worker> + 'a {
        self.workers
            .values()
            .filter(move |worker| worker.client == client)
    }

    /// Forgets the queues, because they may be ahead of the store.
    pub(crate) fn roll_back(&mut self) {
        self.queues.clear();
    }

    /// Removes a worker, and the queue of its name after the last one. Returns the worker.
    pub(crate) fn remove(&mut self, id: WorkerId) -> Option<Worker> {
        let worker = self.workers.remove(&id)?;
        if self.of(&worker.client).next().is_none() {
            self.queues.remove(&worker.client);
        }
        Some(worker)
    }
}
