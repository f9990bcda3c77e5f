//! Rows that change with every message and are written once per batch.
//!
//! A place advances with each message, but only its last value matters once the batch is on disk. All rows here are flushed in the batch's own transaction.

use m2_delivery::{SavedIncarnation, SavedPlace};
use m2_store::{ContactRowId, Store, StoreError};
use std::collections::HashMap;

/// The last value of each row that the batch changed, by contact row.
#[derive(Debug, Default)]
pub(crate) struct Dirty {
    places: HashMap<ContactRowId, SavedPlace>,
    sequences: HashMap<ContactRowId, u64>,
    incarnations: HashMap<(ContactRowId, u64), SavedIncarnation>,
}

impl Dirty {
    pub(crate) fn place(&mut self, contact: ContactRowId, place: SavedPlace) {
        self.places.insert(contact, place);
    }

    pub(crate) fn sequence(&mut self, contact: ContactRowId, next: u64) {
        self.sequences.insert(contact, next);
    }

    pub(crate) fn incarnation(&mut self, contact: ContactRowId, incarnation: SavedIncarnation) {
        let key = (contact, incarnation.incarnation);
        self.incarnations.insert(key, incarnation);
    }

    /// Drops a deleted incarnation of the peer, so that it is not written again.
    pub(crate) fn forget_incarnation(&mut self, contact: ContactRowId, incarnation: u64) {
        self.incarnations.remove(&(contact, incarnation));
    }

    /// Writes all rows. If it fails, the rest is dropped when the batch is rolled back.
    pub(crate) fn flush(&mut self, store: &Store) -> Result<(), StoreError> {
        for (contact, place) in self.places.drain() {
            store.put_place(contact, &place)?;
        }
        for (contact, next) in self.sequences.drain() {
            store.put_next_sequence(contact, next)?;
        }
        for ((contact, _), incarnation) in self.incarnations.drain() {
            store.put_incarnation(contact, &incarnation)?;
        }
        Ok(())
    }

    /// Drops all rows, as the batch was rolled back.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }
}
