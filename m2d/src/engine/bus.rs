//! Notifies streams of committed changes.

use crate::store::{EventRow, MessageState};
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::{broadcast, watch};

/// State changes that a slow watcher may lag behind before it must read the state again.
const STATE_BACKLOG: usize = 4_096;

/// A message's new delivery state.
#[derive(Debug, Clone, Copy)]
pub struct StateChange {
    /// The message's id.
    pub id: [u8; 16],
    /// The new state.
    pub state: MessageState,
    /// The number of the failure, or 0.
    pub failure: i64,
}

/// Events kept in memory for streams. Older ones are read from the store.
const LIVE_EVENTS: usize = 1_024;

/// A committed entry of the event log, for streams that have read up to it.
#[derive(Debug, Clone)]
pub(super) enum LiveEvent {
    /// An event that is complete without the store.
    Whole(Box<EventRow>),
    /// The number of an event that must be read from the store.
    Stored(i64),
}

impl LiveEvent {
    fn seq(&self) -> i64 {
        match self {
            Self::Whole(row) => row.seq,
            Self::Stored(seq) => *seq,
        }
    }
}

/// Announces committed changes. It holds no content: subscribers read that from the store.
#[derive(Debug)]
pub struct Bus {
    newest_event: watch::Sender<i64>,
    live: Mutex<VecDeque<LiveEvent>>,
    states: broadcast::Sender<StateChange>,
}

impl Default for Bus {
    fn default() -> Self {
        Self {
            newest_event: watch::Sender::new(0),
            live: Mutex::default(),
            states: broadcast::Sender::new(STATE_BACKLOG),
        }
    }
}

impl Bus {
    /// Subscribes to the number of the newest committed event.
    pub fn newest_event(&self) -> watch::Receiver<i64> {
        self.newest_event.subscribe()
    }

    /// Returns the events that directly follow number `after`, up to the first that is not in
    /// memory.
    pub fn live_after(&self, after: i64) -> Vec<EventRow> {
        let live = self.live();
        let first = live.partition_point(|event| event.seq() <= after);
        let mut next = after;
        let follow = live.iter().skip(first).map_while(|event| match event {
            LiveEvent::Whole(row) if row.seq == next + 1 => {
                next = row.seq;
                Some(EventRow::clone(row))
            }
            _ => None,
        });
        follow.collect()
    }

    /// Subscribes to committed state changes.
    pub fn states(&self) -> broadcast::Receiver<StateChange> {
        self.states.subscribe()
    }

    pub(super) fn set_newest_event(&self, seq: i64) {
        self.newest_event.send_replace(seq);
    }

    /// Announces committed events, in order.
    pub(super) fn publish(&self, events: Vec<LiveEvent>) {
        let Some(newest) = events.last().map(LiveEvent::seq) else {
            return;
        };
        let mut live = self.live();
        live.extend(events);
        let surplus = live.len().saturating_sub(LIVE_EVENTS);
        live.drain(..surplus);
        drop(live);
        self.set_newest_event(newest);
    }

    fn live(&self) -> MutexGuard<'_, VecDeque<LiveEvent>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn state_changed(&self, change: StateChange) {
        // The channel has no receiver while no stream watches.
        let _ = self.states.send(change);
    }
}
