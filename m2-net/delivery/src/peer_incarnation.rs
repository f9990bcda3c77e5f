//! One incarnation of the peer: its places and its open epochs (docs/spec/delivery.md#places).

use super::id::{MessageId, Time};
use super::output::{SavedHeld, SavedIncarnation};
use bytes::Bytes;
use m2_crypto::envelope::ReceiveEpoch;
use std::collections::BTreeMap;
use std::ops::Range;

/// A message that arrived before others in front of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Held {
    pub(super) id: MessageId,
    pub(super) sequence: u64,
    pub(super) received: Time,
    pub(super) show: bool,
}

/// The position of a sequence number relative to the next place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// It is the next place.
    Next,
    /// It is below the next place, or another message already holds it.
    Taken,
    /// Earlier places must be filled first.
    Ahead,
}

/// A run of places that were not filled in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct MissingPlaces {
    pub(super) first: u64,
    pub(super) missing: u64,
}

pub(super) struct PeerIncarnation {
    pub(super) saved: SavedIncarnation,
    pub(super) dirty: bool,
    pub(super) epochs: BTreeMap<u64, ReceiveEpoch>,
    /// The newest accepted grant; empty if it is not kept.
    pub(super) grant: Bytes,
    /// The tick at which an epoch was last opened or used.
    pub(super) used: u64,
    held: BTreeMap<u64, Held>,
    /// Places that the sender will not fill any more, in order, as it stated since the daemon
    /// started.
    settled: Vec<Range<u64>>,
}

impl PeerIncarnation {
    pub(super) const fn new(saved: SavedIncarnation) -> Self {
        Self {
            saved,
            dirty: false,
            epochs: BTreeMap::new(),
            grant: Bytes::new(),
            used: 0,
            held: BTreeMap::new(),
            settled: Vec::new(),
        }
    }

    pub(super) fn restore_held(&mut self, row: &SavedHeld) {
        self.hold(row);
    }

    pub(super) fn place(&self, sequence: u64) -> Place {
        if sequence == self.saved.next_sequence {
            Place::Next
        } else if sequence < self.saved.next_sequence || self.held.contains_key(&sequence) {
            Place::Taken
        } else {
            Place::Ahead
        }
    }

    pub(super) fn hold(&mut self, row: &SavedHeld) {
        let held = Held {
            id: row.id,
            sequence: row.sequence,
            received: row.received,
            show: row.show,
        };
        self.held.insert(row.sequence, held);
    }

    /// Returns the first place from which on nothing has been received.
    pub(super) fn after_last(&self) -> u64 {
        let held = self.held.last_key_value();
        held.map_or(self.saved.next_sequence, |(place, _)| {
            place.saturating_add(1)
        })
    }

    /// Marks the next place as filled.
    pub(super) const fn advance(&mut self) {
        self.saved.next_sequence += 1;
        self.dirty = true;
    }

    /// Releases the held messages whose turn has come.
    pub(super) fn release_run(&mut self, mut released: impl FnMut(Held)) {
        loop {
            if let Some(held) = self.held.remove(&self.saved.next_sequence) {
                self.advance();
                released(held);
            } else if let Some(end) = self.end_of_settled() {
                self.saved.next_sequence = end;
                self.dirty = true;
            } else {
                return;
            }
        }
    }

    /// If the sender will not fill the next place any more, returns the first place after it that
    /// is held or may still be filled.
    fn end_of_settled(&self) -> Option<u64> {
        let next = self.saved.next_sequence;
        let settled = self.settled.iter().find(|range| range.contains(&next))?;
        let held = self.held.range(next..settled.end).next();
        Some(held.map_or(settled.end, |(place, _)| *place))
    }

    /// Records the places that the sender will not fill any more, releases the messages that waited
    /// only for those, and returns how many of the places were never filled.
    pub(super) fn settle(&mut self, settled: &[Range<u64>], released: impl FnMut(Held)) -> u64 {
        let next = self.saved.next_sequence;
        let missing = settled.iter().map(|range| {
            let first = range.start.max(next).min(range.end);
            let held = self.held.range(first..range.end).count();
            (range.end - first).saturating_sub(u64::try_from(held).unwrap_or(u64::MAX))
        });
        let missing = missing.fold(0, u64::saturating_add);
        self.settled = settled.to_vec();
        self.release_run(released);
        missing
    }

    /// Continues at `oldest`, because the sender fills no place before it any more. Releases the
    /// messages held before it and those that follow it, and returns how many places are missing.
    pub(super) fn continue_at(&mut self, oldest: u64, mut released: impl FnMut(Held)) -> u64 {
        let mut missing = oldest.saturating_sub(self.saved.next_sequence);
        if missing == 0 {
            return 0;
        }
        while let Some(entry) = self.held.first_entry() {
            if *entry.key() >= oldest {
                break;
            }
            missing = missing.saturating_sub(1);
            released(entry.remove());
        }
        self.saved.next_sequence = oldest;
        self.dirty = true;
        self.release_run(released);
        missing
    }

    /// Releases all held messages and clears the settled places.
    pub(super) fn release_all(&mut self, mut released: impl FnMut(Held)) {
        self.settled = Vec::new();
        while let Some((sequence, held)) = self.held.pop_first() {
            self.saved.next_sequence = sequence.saturating_add(1);
            self.dirty = true;
            released(held);
        }
    }

    /// Advances to the first held place, if one up to `last` is held.
    pub(super) fn skip_gap(&mut self, last: u64) -> Option<MissingPlaces> {
        let (sequence, _) = self.held.first_key_value()?;
        if *sequence > last {
            return None;
        }
        let first = std::mem::replace(&mut self.saved.next_sequence, *sequence);
        self.dirty = true;
        Some(MissingPlaces {
            first,
            missing: sequence.saturating_sub(first),
        })
    }
}
