//! How streams hear that something changed.

use crate::store::MessageState;
use tokio::sync::{broadcast, watch};

/// State changes that a slow watcher may lag behind before it reads the state anew.
const STATE_BACKLOG: usize = 4_096;

/// A message has another state.
#[derive(Debug, Clone, Copy)]
pub struct StateChange {
    /// The message.
    pub id: [u8; 16],
    /// Its new state.
    pub state: MessageState,
    /// Why it failed, or 0.
    pub failure: i64,
}

/// Announces what was committed. It holds no content: who is told reads the store.
#[derive(Debug)]
pub struct Bus {
    newest_event: watch::Sender<i64>,
    states: broadcast::Sender<StateChange>,
}

impl Default for Bus {
    fn default() -> Self {
        Self {
            newest_event: watch::Sender::new(0),
            states: broadcast::Sender::new(STATE_BACKLOG),
        }
    }
}

impl Bus {
    /// The number of the newest committed event, as it grows.
    pub fn newest_event(&self) -> watch::Receiver<i64> {
        self.newest_event.subscribe()
    }

    /// Committed state changes.
    pub fn states(&self) -> broadcast::Receiver<StateChange> {
        self.states.subscribe()
    }

    pub(super) fn set_newest_event(&self, seq: i64) {
        self.newest_event.send_replace(seq);
    }

    pub(super) fn state_changed(&self, change: StateChange) {
        // Nobody watching is fine.
        let _ = self.states.send(change);
    }
}
