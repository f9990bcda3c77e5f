//! One incarnation of the peer: its sequence space and its open epochs (spec §5, §6).

use super::id::{MessageId, Time};
use super::output::{SavedHeld, SavedIncarnation};
use m2_crypto::envelope::ReceiveEpoch;
use std::collections::BTreeMap;

/// A message that overtook others.
#[derive(Debug, Clone, Copy)]
pub(super) struct Held {
    pub(super) id: MessageId,
    pub(super) sequence: u64,
    pub(super) received: Time,
    pub(super) show: bool,
}

/// Where a sequence number falls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// It is its turn.
    Next,
    /// Its turn has passed, or another message holds it already.
    Taken,
    /// Others must come before it.
    Ahead,
}

/// Places that nobody filled in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct MissingPlaces {
    pub(super) first: u64,
    pub(super) missing: u64,
}

pub(super) struct OpenEpoch {
    pub(super) epoch: ReceiveEpoch,
    pub(super) dirty: bool,
}

pub(super) struct PeerIncarnation {
    pub(super) saved: SavedIncarnation,
    pub(super) dirty: bool,
    pub(super) epochs: BTreeMap<u64, OpenEpoch>,
    /// The tick at which an epoch was last opened or used.
    pub(super) used: u64,
    held: BTreeMap<u64, Held>,
}

impl PeerIncarnation {
    pub(super) const fn new(saved: SavedIncarnation) -> Self {
        Self {
            saved,
            dirty: false,
            epochs: BTreeMap::new(),
            used: 0,
            held: BTreeMap::new(),
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

    /// The place that was next is filled.
    pub(super) const fn advance(&mut self) {
        self.saved.next_sequence += 1;
        self.dirty = true;
    }

    /// Releases what no longer has to wait.
    pub(super) fn release_run(&mut self, mut released: impl FnMut(Held)) {
        while let Some(held) = self.held.remove(&self.saved.next_sequence) {
            self.advance();
            released(held);
        }
    }

    /// Moves on to the first held place, if one up to `last` is held.
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
