//! The index of the outbox: by place, by id, and by due time.

use super::id::{MessageId, Time};
use super::limits::Limits;
use super::output::{MessageState, SavedOutbox};
use crate::places::MAX_SETTLED;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Range;

/// One message on its way.
pub(super) struct Entry {
    pub(super) saved: SavedOutbox,
    pub(super) progress: Progress,
    /// Number of retransmissions in this session.
    pub(super) attempts: u32,
    /// Set once the peer has left many offers unanswered; the window no longer counts from the
    /// message.
    pub(super) stuck: bool,
    /// The epoch of this incarnation under which the message was sealed last, since the daemon started.
    pub(super) sealed: Option<u64>,
    /// Set once a second copy of the message may be under way: sealed under another epoch or by an
    /// earlier run, or in a letter.
    pub(super) has_copies: bool,
}

/// The progress of a message in the current session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    /// Not offered yet.
    Waiting,
    /// Offered; due for retransmission at this time.
    Offered(Time),
}

/// Every operation costs at most the logarithm of the number of messages, except
/// [`Outbox::window_base`], [`Outbox::holes`], [`Outbox::reset_offers`], [`Outbox::reset_all_offers`] and
/// [`Outbox::forget_epochs`].
pub(super) struct Outbox {
    entries: BTreeMap<u64, Entry>,
    by_id: HashMap<MessageId, u64>,
    expiries: BTreeSet<(Time, u64)>,
    resends: BTreeSet<(Time, u64)>,
}

impl Outbox {
    pub(super) fn new(rows: Vec<SavedOutbox>) -> Self {
        let mut outbox = Self {
            entries: BTreeMap::new(),
            by_id: HashMap::with_capacity(rows.len()),
            expiries: BTreeSet::new(),
            resends: BTreeSet::new(),
        };
        for row in rows {
            outbox.insert(row);
            if row.state != MessageState::Queued {
                outbox.note_copy(row.sequence);
            }
        }
        outbox
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn insert(&mut self, saved: SavedOutbox) {
        self.by_id.insert(saved.id, saved.sequence);
        if let Some(at) = saved.expires {
            self.expiries.insert((at, saved.sequence));
        }
        let entry = Entry {
            saved,
            progress: Progress::Waiting,
            attempts: 0,
            stuck: false,
            sealed: None,
            has_copies: false,
        };
        self.entries.insert(saved.sequence, entry);
    }

    /// Replaces the message with the same id by a SKIP in its place.
    pub(super) fn replace(&mut self, saved: SavedOutbox) {
        self.remove(saved.sequence);
        self.insert(saved);
    }

    pub(super) fn remove(&mut self, sequence: u64) {
        self.reset_offer(sequence);
        if let Some(entry) = self.entries.remove(&sequence) {
            self.by_id.remove(&entry.saved.id);
            if let Some(at) = entry.saved.expires {
                self.expiries.remove(&(at, sequence));
            }
        }
    }

    /// Returns the lowest place in the outbox.
    pub(super) fn oldest(&self) -> Option<u64> {
        self.entries
            .first_key_value()
            .map(|(sequence, _)| *sequence)
    }

    pub(super) fn get(&self, sequence: u64) -> Option<&Entry> {
        self.entries.get(&sequence)
    }

    pub(super) fn sequence_of(&self, id: &MessageId) -> Option<u64> {
        self.by_id.get(id).copied()
    }

    pub(super) fn by_id(&self, id: &MessageId) -> Option<&Entry> {
        self.get(self.sequence_of(id)?)
    }

    pub(super) fn set_state(&mut self, sequence: u64, state: MessageState) {
        if let Some(entry) = self.entries.get_mut(&sequence) {
            entry.saved.state = state;
        }
    }

    /// Returns the oldest message that is not stuck; the window counts from it. Iterates over the
    /// stuck ones, at most one window of them per holding time.
    pub(super) fn window_base(&self) -> u64 {
        self.entries
            .iter()
            .find(|(_, entry)| !entry.stuck)
            .map_or(u64::MAX, |(sequence, _)| *sequence)
    }

    /// Returns the first message in `start..end`.
    pub(super) fn next_from(&self, start: u64, end: u64) -> Option<u64> {
        if start >= end {
            return None;
        }
        self.entries
            .range(start..end)
            .next()
            .map(|(sequence, _)| *sequence)
    }

    /// Marks a message as sent now and schedules its retransmission. The wait doubles with each
    /// attempt and is scaled by 768 + `jitter` (0 to 512) over 1024: from a quarter less to a
    /// quarter more.
    pub(super) fn offered(&mut self, sequence: u64, now: Time, limits: &Limits, jitter: u64) {
        let Some(entry) = self.entries.get_mut(&sequence) else {
            return;
        };
        let wait = limits
            .resend_first
            .saturating_mul(1 << entry.attempts.min(16))
            .min(limits.resend_most);
        let at = now.plus(wait.saturating_mul(768 + jitter) / 1_024);
        entry.progress = Progress::Offered(at);
        self.resends.insert((at, sequence));
    }

    /// Resets one message whose wait for an acknowledgement has ended, and returns it.
    pub(super) fn unanswered(&mut self, now: Time) -> Option<&mut Entry> {
        let (at, sequence) = *self.resends.first()?;
        if at > now {
            return None;
        }
        self.reset_offer(sequence);
        self.entries.get_mut(&sequence)
    }

    fn reset_offer(&mut self, sequence: u64) {
        let Some(entry) = self.entries.get_mut(&sequence) else {
            return;
        };
        match std::mem::replace(&mut entry.progress, Progress::Waiting) {
            Progress::Waiting => {}
            Progress::Offered(at) => {
                self.resends.remove(&(at, sequence));
            }
        }
    }

    /// Resets all messages to not offered, because the session has changed or ended.
    pub(super) fn reset_all_offers(&mut self) {
        let touched: Vec<u64> = self.resends.iter().map(|(_, sequence)| *sequence).collect();
        for sequence in touched {
            self.reset_offer(sequence);
            if let Some(entry) = self.entries.get_mut(&sequence) {
                entry.attempts = 0;
            }
        }
    }

    /// Resets the messages sent under this epoch to not offered, and returns the first of them.
    /// Iterates only over the messages under way.
    pub(super) fn reset_offers(&mut self, epoch: u64) -> Option<u64> {
        let touched: Vec<u64> = self
            .resends
            .iter()
            .map(|(_, sequence)| *sequence)
            .filter(|sequence| {
                self.get(*sequence)
                    .is_some_and(|entry| entry.sealed == Some(epoch))
            })
            .collect();
        for sequence in &touched {
            self.reset_offer(*sequence);
        }
        touched.into_iter().min()
    }

    /// Returns the ranges of acknowledged places after the oldest one and before `end`: the first
    /// [`MAX_SETTLED`] of them.
    pub(super) fn holes(&self, end: u64) -> Vec<Range<u64>> {
        let places = self.entries.keys().copied();
        let after = self.entries.keys().copied().skip(1).chain([end]);
        let holes = places
            .zip(after)
            .map(|(place, next)| place.saturating_add(1)..next);
        holes
            .filter(|hole| !hole.is_empty())
            .take(MAX_SETTLED)
            .collect()
    }

    /// Records under which epoch a message was sealed. Returns whether it was sealed under another one
    /// before.
    pub(super) fn note_sealed(&mut self, sequence: u64, epoch: u64) -> bool {
        let Some(entry) = self.entries.get_mut(&sequence) else {
            return false;
        };
        let is_other = entry.sealed.is_some_and(|before| before != epoch);
        entry.sealed = Some(epoch);
        entry.has_copies |= is_other;
        is_other
    }

    /// Records that a copy of a message may be under way that is not sealed under the epoch of its entry.
    pub(super) fn note_copy(&mut self, sequence: u64) {
        if let Some(entry) = self.entries.get_mut(&sequence) {
            entry.has_copies = true;
        }
    }

    /// Forgets the epochs of all messages, as the incarnation has ended.
    pub(super) fn forget_epochs(&mut self) {
        for entry in self.entries.values_mut() {
            entry.has_copies |= entry.sealed.take().is_some();
        }
    }

    /// Returns one message whose time to live has ended.
    pub(super) fn expired(&self, now: Time) -> Option<u64> {
        let (at, sequence) = *self.expiries.first()?;
        (at <= now).then_some(sequence)
    }

    pub(super) fn next_expiry(&self) -> Option<Time> {
        self.expiries.first().map(|(at, _)| *at)
    }

    pub(super) fn next_resend(&self) -> Option<Time> {
        self.resends.first().map(|(at, _)| *at)
    }
}
