//! Faults of the store: what callers, the log and `m2 status` learn of them.

use super::Engine;
use crate::refusal::Refusal;
use m2_proto::reason::Reason;
use m2_sqlite::Fault;

impl Engine {
    /// Records that a batch was written.
    pub(super) fn note_written(&mut self) {
        if !self.store.is_tight() && !self.store_was_failing {
            return;
        }
        self.store_was_failing = false;
        if let Err(error) = self.store.regain_room() {
            tracing::debug!(%error, "the free space in the store is unknown");
        }
    }

    /// Refuses an operation that takes room on a full disk, so that others can still free room.
    pub(super) fn require_disk(&mut self) -> Result<(), Refusal> {
        match self.store.has_room()? {
            true => Ok(()),
            false => Err(Refusal::new(Reason::DiskFull)),
        }
    }

    /// Records why a batch failed. Returns the refusal for its callers.
    pub(super) fn note_failure(&mut self, refusal: Refusal) -> Refusal {
        let Some(mut fault) = refusal.fault else {
            // The refusal came from a call, not from the store.
            return refusal;
        };
        if fault == Fault::Io && self.store.is_out_of_room() {
            fault = Fault::Full;
        }
        // SQLite also refuses to write once a page has failed its authentication.
        if fault == Fault::ReadOnly && self.store.is_writable() {
            fault = Fault::Damaged;
        }
        if fault == Fault::Full {
            self.store.make_room();
        }
        self.counters.count("STORE_BATCH_FAILED");
        self.store.health().write_failed(fault);
        self.store_was_failing = true;
        fault.into()
    }
}
