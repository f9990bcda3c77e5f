//! Decides which event's command runs next. Performs no IO and reads no clock: `now` is a parameter.
//!
//! Events come in the order of the log. The commands of one contact run one after another in this
//! order, those of different contacts concurrently. What is acknowledged is always a prefix of the
//! log: an event counts only when it and every event before it are finished.
//!
//! Calls, in order: [`push`](Schedule::push) while [`has_room`](Schedule::has_room) returns true;
//! [`start`](Schedule::start) until it returns `None`; for every started command
//! [`finish`](Schedule::finish) or [`retry`](Schedule::retry); [`take_done`](Schedule::take_done).

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::time::Instant;

/// The maximum number of events that are neither finished nor acknowledged, or that wait for an
/// earlier one.
const MAX_EVENTS: usize = 1_024;
/// The size of the unfinished events at which no further one is taken, in bytes.
const MAX_BYTES: usize = 8 * 1024 * 1024;

/// The number of an event, counted from the first one that was pushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Number(u64);

/// The events that were taken from the log and are not acknowledged yet. `T` is what a command
/// needs of its event.
#[derive(Debug)]
pub(super) struct Schedule<T> {
    /// The maximum number of commands that run at once.
    jobs: usize,
    running: usize,
    /// The number of the first entry.
    first: u64,
    entries: VecDeque<Entry<T>>,
    /// The unfinished events of each contact, in order. Only the first one may run.
    lanes: HashMap<String, VecDeque<Number>>,
    /// The events that may start now, if there is a free job.
    ready: BTreeSet<Number>,
    /// The events that may start again later.
    paused: BTreeSet<(Instant, Number)>,
    /// The size of the unfinished events.
    bytes: usize,
}

#[derive(Debug)]
struct Entry<T> {
    cursor: String,
    lane: String,
    size: usize,
    state: State<T>,
}

#[derive(Debug)]
enum State<T> {
    Waiting(T),
    Running,
    Finished,
}

impl<T> Schedule<T> {
    /// Returns a schedule without events. `jobs` is the maximum number of commands at once.
    pub(super) fn new(jobs: usize) -> Self {
        Self {
            jobs: jobs.max(1),
            running: 0,
            first: 0,
            entries: VecDeque::new(),
            lanes: HashMap::new(),
            ready: BTreeSet::new(),
            paused: BTreeSet::new(),
            bytes: 0,
        }
    }

    /// Returns whether a further event may be pushed.
    pub(super) fn has_room(&self) -> bool {
        self.entries.len() < MAX_EVENTS && self.bytes < MAX_BYTES
    }

    /// Returns whether every event is finished.
    pub(super) fn is_finished(&self) -> bool {
        self.lanes.is_empty()
    }

    /// Adds the next event of the log. `lane` is its contact; events without one share a lane.
    pub(super) fn push(&mut self, cursor: String, lane: String, size: usize, task: T) {
        let number = Number(self.first.saturating_add(self.entries.len() as u64));
        let queue = self.lanes.entry(lane.clone()).or_default();
        queue.push_back(number);
        if queue.len() == 1 {
            self.ready.insert(number);
        }
        self.bytes = self.bytes.saturating_add(size);
        self.entries.push_back(Entry {
            cursor,
            lane,
            size,
            state: State::Waiting(task),
        });
    }

    /// Adds a place of the log that needs no command. It is done once every event before it is.
    pub(super) fn pass(&mut self, cursor: String) {
        self.entries.push_back(Entry {
            cursor,
            lane: String::new(),
            size: 0,
            state: State::Finished,
        });
    }

    /// Returns the event whose command must be started now, the earliest one first.
    pub(super) fn start(&mut self, now: Instant) -> Option<(Number, T)> {
        if self.running >= self.jobs {
            return None;
        }
        self.resume(now);
        let number = self.ready.pop_first()?;
        let entry = self.entry(number)?;
        match std::mem::replace(&mut entry.state, State::Running) {
            State::Waiting(task) => {
                self.running += 1;
                Some((number, task))
            }
            other => {
                entry.state = other;
                None
            }
        }
    }

    /// Returns when [`start`](Self::start) can next return an event although no command ends before.
    pub(super) fn wakes_at(&self) -> Option<Instant> {
        if self.running >= self.jobs {
            return None;
        }
        self.paused.first().map(|(at, _)| *at)
    }

    /// Records that the command of an event succeeded, or was given up.
    pub(super) fn finish(&mut self, number: Number) {
        let Some(entry) = self.stop(number, State::Finished) else {
            return;
        };
        let (lane, size) = (entry.lane.clone(), entry.size);
        self.bytes = self.bytes.saturating_sub(size);
        let Some(queue) = self.lanes.get_mut(&lane) else {
            return;
        };
        queue.pop_front();
        match queue.front() {
            Some(next) => {
                self.ready.insert(*next);
            }
            None => {
                self.lanes.remove(&lane);
            }
        }
    }

    /// Records that the command of an event failed and must run again, not before `at`. Later events
    /// of its contact wait; the job is free for other contacts.
    pub(super) fn retry(&mut self, number: Number, task: T, at: Instant) {
        if self.stop(number, State::Waiting(task)).is_some() {
            self.paused.insert((at, number));
        }
    }

    /// Returns the cursor of the last event of the finished prefix, and forgets the prefix. Returns
    /// `None` if the first event is not finished.
    pub(super) fn take_done(&mut self) -> Option<String> {
        let mut done = None;
        while let Some(entry) = self.entries.front() {
            if !matches!(entry.state, State::Finished) {
                break;
            }
            self.first = self.first.saturating_add(1);
            done = self.entries.pop_front().map(|entry| entry.cursor);
        }
        done
    }

    /// Moves the events whose pause is over to those that may start.
    fn resume(&mut self, now: Instant) {
        while let Some((at, number)) = self.paused.first().copied() {
            if at > now {
                return;
            }
            self.paused.pop_first();
            self.ready.insert(number);
        }
    }

    /// Sets the state of an event whose command ran. Returns `None` if it did not run.
    fn stop(&mut self, number: Number, state: State<T>) -> Option<&Entry<T>> {
        let entry = self.entry(number)?;
        if !matches!(entry.state, State::Running) {
            return None;
        }
        entry.state = state;
        self.running = self.running.saturating_sub(1);
        self.entry(number).map(|entry| &*entry)
    }

    fn entry(&mut self, number: Number) -> Option<&mut Entry<T>> {
        let place = number.0.checked_sub(self.first)?;
        self.entries.get_mut(usize::try_from(place).ok()?)
    }
}

#[cfg(test)]
mod tests;
