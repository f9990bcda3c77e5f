//! The events of one client name that several workers share: which event is given to which worker, and when again.
//!
//! [`SharedQueue`] does no IO. The caller tells it which events exist ([`SharedQueue::consider`]) and the time, and stores
//! its [`Change`]s in the transaction of the call. What is not stored (events that were never given) is considered again
//! after a restart.
//!
//! An event is given to one worker at a time. It is not given while an earlier event of its contact is open, so each
//! contact's events are handled in order. Its lease ends with an acknowledgement, which makes it done, or otherwise at its
//! time: then it is given again, until it has been given as often as it may; then it is a dead letter.

use m2_store::{ContactRowId, SharedRow, SharedState};
use std::collections::{BTreeMap, BTreeSet, HashSet};

/// The most events between the first that is not done and the last that was considered.
pub(crate) const MAX_AHEAD: usize = 1_024;
/// The most dead letters of a client. Beyond them events are given again and again instead.
pub(crate) const MAX_DEAD: usize = 1_000;
/// The pause before an event is given again that may not become a dead letter any more, in milliseconds.
const FULL_PAUSE_MS: u64 = 60_000;
/// The longest lease, and the longest delay before an event is given again, in milliseconds. A stored time that is further
/// away was written by a clock that was wrong.
pub(crate) const MAX_WAIT_MS: u64 = 12 * 3_600_000;

/// Identifies the stream of a worker, also after a restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct WorkerId(pub u64);

/// The terms under which a worker is given events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SharedTerms {
    /// How long a lease lasts, in milliseconds.
    pub lease_ms: u64,
    /// The most open leases of the worker.
    pub max_open: u32,
    /// How often an event is given before it becomes a dead letter.
    pub max_deliveries: u32,
}

/// An event that is given to a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Given {
    /// The number of the event.
    pub seq: i64,
    /// How often it has been given, this time included.
    pub delivery: u32,
    /// When its lease ends, in Unix milliseconds.
    pub until_ms: u64,
}

/// A change to store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Change {
    /// Store the state of an event, with why it was not handled.
    Put(SharedRow, String),
    /// Store nothing of an event any more.
    Delete(i64),
    /// All events up to this one are done, open or dead letters.
    Floor(i64),
}

#[derive(Debug, Clone, Copy)]
enum Lease {
    /// The event may be given from this time on.
    Waits { due_ms: u64 },
    /// A worker has it until this time.
    Held { worker: WorkerId, until_ms: u64 },
}

#[derive(Debug, Clone, Copy)]
struct Open {
    contact: ContactRowId,
    deliveries: u32,
    lease: Lease,
}

/// The shared events of one client.
#[derive(Debug)]
pub(crate) struct SharedQueue {
    floor: i64,
    considered: i64,
    max_deliveries: u32,
    open: BTreeMap<i64, Open>,
    /// The done events above the floor.
    done: BTreeSet<i64>,
    dead: BTreeSet<i64>,
    changes: Vec<Change>,
}

impl SharedQueue {
    /// Returns the queue whose rows were stored, at the time `now`.
    pub(crate) fn load(floor: i64, max_deliveries: u32, rows: &[SharedRow], now: u64) -> Self {
        let mut queue = Self {
            floor,
            considered: floor,
            max_deliveries,
            open: BTreeMap::new(),
            done: BTreeSet::new(),
            dead: BTreeSet::new(),
            changes: Vec::new(),
        };
        for row in rows {
            let at_ms = row.at_ms.min(now.saturating_add(MAX_WAIT_MS));
            let lease = match row.state {
                SharedState::Leased => Lease::Held {
                    worker: WorkerId(row.worker),
                    until_ms: at_ms,
                },
                SharedState::Waiting => Lease::Waits { due_ms: at_ms },
                SharedState::Done => {
                    queue.done.insert(row.seq);
                    continue;
                }
                SharedState::Dead => {
                    queue.dead.insert(row.seq);
                    continue;
                }
            };
            let open = Open {
                contact: row.contact,
                deliveries: row.deliveries,
                lease,
            };
            queue.open.insert(row.seq, open);
        }
        queue
    }

    /// Sets how often an event is given before it becomes a dead letter.
    pub(crate) const fn set_max_deliveries(&mut self, max_deliveries: u32) {
        self.max_deliveries = max_deliveries;
    }

    /// Returns the number of the last event that was considered.
    pub(crate) const fn considered(&self) -> i64 {
        self.considered
    }

    /// Returns whether another event may be considered.
    pub(crate) fn has_room(&self) -> bool {
        self.open.len() + self.done.len() < MAX_AHEAD
    }

    /// Takes the event that follows those that were considered. One that is not selected is passed over.
    pub(crate) fn consider(&mut self, seq: i64, contact: ContactRowId, is_selected: bool) {
        self.considered = self.considered.max(seq);
        let is_known =
            self.open.contains_key(&seq) || self.done.contains(&seq) || self.dead.contains(&seq);
        if is_selected && !is_known {
            let open = Open {
                contact,
                deliveries: 0,
                lease: Lease::Waits { due_ms: 0 },
            };
            self.open.insert(seq, open);
        }
        self.raise_floor();
    }

    /// Forgets the events before `oldest`, which are not stored any more. Returns how many of them were not done.
    pub(crate) fn forget_before(&mut self, oldest: i64) -> u64 {
        let unseen = (oldest - 1).saturating_sub(self.considered).max(0);
        let open: Vec<i64> = self.open.range(..oldest).map(|(seq, _)| *seq).collect();
        for seq in &open {
            self.open.remove(seq);
            self.changes.push(Change::Delete(*seq));
        }
        self.considered = self.considered.max(oldest - 1);
        self.raise_floor();
        u64::try_from(unseen).unwrap_or(0) + open.len() as u64
    }

    /// Gives a worker the next event that it may have.
    pub(crate) fn give(
        &mut self,
        worker: WorkerId,
        terms: &SharedTerms,
        now: u64,
    ) -> Option<Given> {
        if self.held_by(worker) >= terms.max_open as usize {
            return None;
        }
        let seq = self.next_due(now)?;
        let open = self.open.get_mut(&seq)?;
        let until_ms = now.saturating_add(terms.lease_ms);
        open.deliveries = open.deliveries.saturating_add(1);
        open.lease = Lease::Held { worker, until_ms };
        let given = Given {
            seq,
            delivery: open.deliveries,
            until_ms,
        };
        self.put_open(seq, String::new());
        Some(given)
    }

    /// Takes back an event that did not reach its worker.
    pub(crate) fn give_back(&mut self, seq: i64, worker: WorkerId, now: u64) {
        let Some(open) = self.open.get_mut(&seq) else {
            return;
        };
        if matches!(open.lease, Lease::Held { worker: holder, .. } if holder == worker) {
            open.deliveries = open.deliveries.saturating_sub(1);
            open.lease = Lease::Waits { due_ms: now };
            self.put_open(seq, String::new());
        }
    }

    /// Notes that an event was handled, whichever worker has it now. An event that is neither open nor a dead letter is
    /// done already.
    pub(crate) fn acknowledge(&mut self, seq: i64) {
        if self.open.remove(&seq).is_some() || self.dead.remove(&seq) {
            self.finish(seq);
        }
    }

    /// Ends the lease of an event that was not handled, so that it is given again after a delay. `delivery` is the number
    /// of the delivery, 0 for any: nothing happens if the event has been given again since.
    pub(crate) fn refuse(&mut self, seq: i64, delivery: u32, delay_ms: u64, now: u64, why: &str) {
        let held = self.open.get(&seq).filter(|open| {
            let is_held = matches!(open.lease, Lease::Held { .. });
            is_held && (delivery == 0 || open.deliveries == delivery)
        });
        if held.is_some() {
            self.release(seq, delay_ms, now, why);
        }
    }

    /// Ends the leases whose time is over.
    pub(crate) fn end_leases(&mut self, now: u64) {
        let is_over =
            |open: &Open| matches!(open.lease, Lease::Held { until_ms, .. } if until_ms <= now);
        let over = self.open.iter().filter(|(_, open)| is_over(open));
        let over: Vec<i64> = over.map(|(seq, _)| *seq).collect();
        for seq in over {
            self.release(seq, 0, now, "");
        }
    }

    /// Returns when a lease ends next, or an event that waits is due, in Unix milliseconds.
    pub(crate) fn next_change_ms(&self, now: u64) -> Option<u64> {
        let times = self.open.values().map(|open| match open.lease {
            Lease::Waits { due_ms } => due_ms,
            Lease::Held { until_ms, .. } => until_ms,
        });
        times.filter(|time| *time > now).min()
    }

    /// Returns the dead letters.
    pub(crate) const fn dead(&self) -> &BTreeSet<i64> {
        &self.dead
    }

    /// Opens a dead letter again, as if it had never been given.
    pub(crate) fn retry(&mut self, seq: i64, contact: ContactRowId, now: u64) {
        if self.dead.remove(&seq) {
            let open = Open {
                contact,
                deliveries: 0,
                lease: Lease::Waits { due_ms: now },
            };
            self.open.insert(seq, open);
            self.put_open(seq, String::new());
        }
    }

    /// Drops a dead letter.
    pub(crate) fn drop_dead(&mut self, seq: i64) {
        if self.dead.remove(&seq) {
            self.finish(seq);
        }
    }

    /// Returns the changes since the last call.
    pub(crate) fn take_changes(&mut self) -> Vec<Change> {
        std::mem::take(&mut self.changes)
    }

    fn held_by(&self, worker: WorkerId) -> usize {
        let is_held = |open: &&Open| matches!(open.lease, Lease::Held { worker: holder, .. } if holder == worker);
        self.open.values().filter(is_held).count()
    }

    /// Keeps an event as done until the floor is above it.
    fn finish(&mut self, seq: i64) {
        if seq > self.floor {
            self.done.insert(seq);
            let row = row(seq, SharedState::Done, 0, 0, 0);
            self.changes.push(Change::Put(row, String::new()));
        } else {
            self.changes.push(Change::Delete(seq));
        }
        self.raise_floor();
    }

    /// Returns the first event that is due and the first open one of its contact.
    fn next_due(&self, now: u64) -> Option<i64> {
        let mut contacts = HashSet::new();
        let mut first = self
            .open
            .iter()
            .filter(|(_, open)| contacts.insert(open.contact));
        let is_due = |open: &Open| matches!(open.lease, Lease::Waits { due_ms } if due_ms <= now);
        let found = first.find(|(_, open)| is_due(open));
        found.map(|(seq, _)| *seq)
    }

    /// Ends a lease: the event waits, or becomes a dead letter.
    fn release(&mut self, seq: i64, delay_ms: u64, now: u64, why: &str) {
        let has_room = self.dead.len() < MAX_DEAD;
        let Some(open) = self.open.get_mut(&seq) else {
            return;
        };
        let is_last = open.deliveries >= self.max_deliveries;
        if is_last && has_room {
            let deliveries = open.deliveries;
            self.open.remove(&seq);
            self.dead.insert(seq);
            let row = row(seq, SharedState::Dead, deliveries, now, 0);
            self.changes.push(Change::Put(row, why.to_owned()));
            self.raise_floor();
            return;
        }
        let least = if is_last { FULL_PAUSE_MS } else { 0 };
        let due_ms = now.saturating_add(delay_ms.max(least));
        open.lease = Lease::Waits { due_ms };
        self.put_open(seq, why.to_owned());
    }

    fn put_open(&mut self, seq: i64, why: String) {
        let Some(open) = self.open.get(&seq) else {
            return;
        };
        let (state, at_ms, worker) = match open.lease {
            Lease::Waits { due_ms } => (SharedState::Waiting, due_ms, 0),
            Lease::Held { worker, until_ms } => (SharedState::Leased, until_ms, worker.0),
        };
        let row = row(seq, state, open.deliveries, at_ms, worker);
        self.changes.push(Change::Put(row, why));
    }

    /// Moves the floor up to the first event that is not done, and forgets what is done below it.
    fn raise_floor(&mut self) {
        let mut above = self.open.range(self.floor.saturating_add(1)..);
        let first_open = above.next().map(|(seq, _)| seq - 1);
        let floor = first_open.map_or(self.considered, |before| before.min(self.considered));
        if floor <= self.floor {
            return;
        }
        self.floor = floor;
        let above = self.done.split_off(&floor.saturating_add(1));
        let below = std::mem::replace(&mut self.done, above);
        self.changes.extend(below.into_iter().map(Change::Delete));
        self.changes.push(Change::Floor(floor));
    }
}

fn row(seq: i64, state: SharedState, deliveries: u32, at_ms: u64, worker: u64) -> SharedRow {
    SharedRow {
        seq,
        state,
        deliveries,
        at_ms,
        worker,
        contact: ContactRowId::default(),
    }
}

#[cfg(test)]
mod tests;
