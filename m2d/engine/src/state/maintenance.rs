//! When the periodic work is due.

use m2_store::{ContactRowId, MessageRowId};
use std::collections::HashMap;

/// The longest delay before a new message is indexed, in milliseconds. Others are indexed with it.
const INDEX_DELAY_MS: u64 = 2_000;
/// The delay before space is returned after a deletion, in milliseconds.
const GIVE_BACK_DELAY_MS: u64 = 1_000;
/// Hidden messages of one contact after which their number is bounded again.
const SILENT_STEP: u32 = 256;

/// Due times of the periodic work, in Unix milliseconds; `u64::MAX` for never. At the start all
/// work is due once.
#[derive(Debug, Default)]
pub(crate) struct Maintenance {
    /// Expired messages are erased.
    pub(crate) expiry: u64,
    /// New messages are indexed.
    pub(crate) index: u64,
    /// Old events, idempotency keys, budgets, invitations and clients are pruned.
    pub(crate) prune: u64,
    /// Rows of removed contacts are pruned.
    pub(crate) contacts: u64,
    /// Old contact requests expire.
    pub(crate) requests: u64,
    /// The next erasure step for a removed contact runs.
    pub(crate) erasure: u64,
    /// The next step of the retention scan runs.
    pub(crate) retention: u64,
    /// Free pages are returned to the file system.
    pub(crate) space: u64,
    /// Hidden messages since their number was last bounded, by contact row.
    pub(crate) silent: HashMap<ContactRowId, u32>,
    /// True if this batch erased or replaced a message.
    pub(crate) has_changed: bool,
    /// True if the write-ahead log must be emptied after this batch, as it still holds deleted
    /// data.
    pub(crate) log: bool,
}

impl Maintenance {
    /// Returns the earliest due time.
    pub(crate) fn due(&self) -> u64 {
        let prune = self.prune.min(self.contacts).min(self.requests);
        let freed = self.erasure.min(self.space).min(self.retention);
        self.expiry.min(self.index).min(prune).min(freed)
    }

    /// Schedules the expiry of a message.
    pub(crate) fn note_expiry(&mut self, at: Option<u64>) {
        self.expiry = self.expiry.min(at.unwrap_or(u64::MAX));
    }

    /// Records that a message has another text now, or is hidden.
    pub(crate) fn note_content_changed(&mut self) {
        self.has_changed = true;
    }

    /// Returns whether a message was erased or replaced since the last call.
    pub(crate) fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.has_changed)
    }

    /// Schedules indexing of a new message. Later messages do not defer it.
    pub(crate) fn note_text(&mut self, now: u64) {
        self.index = self.index.min(now.saturating_add(INDEX_DELAY_MS));
    }

    /// Schedules the erasure of a removed contact's data.
    pub(crate) fn note_erasure(&mut self, now: u64) {
        self.erasure = self.erasure.min(now);
    }

    /// Schedules a retention scan after a retention time changed.
    pub(crate) fn note_retention(&mut self, now: u64) {
        self.retention = self.retention.min(now);
    }

    /// Counts a hidden message of a contact. From time to time returns to how many its hidden
    /// messages must be bounded.
    pub(crate) fn note_hidden(&mut self, row: ContactRowId) -> Option<u32> {
        let count = self.silent.entry(row).or_default();
        *count += 1;
        if *count < SILENT_STEP {
            return None;
        }
        *count = 0;
        Some(2 * SILENT_STEP)
    }

    /// Schedules the return of freed space.
    pub(crate) fn note_freed(&mut self, now: u64) {
        self.has_changed = true;
        self.space = self.space.min(now.saturating_add(GIVE_BACK_DELAY_MS));
    }
}

/// Progress of the scan through all contacts.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Round {
    pub(crate) contact: ContactRowId,
    pub(crate) after: MessageRowId,
}
