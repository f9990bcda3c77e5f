//! Periodic work: expiry, retention, pruning and the search index.

use super::Engine;
use super::erasing::ERASE_STEP;
use crate::refusal::Refusal;
use m2_core::dial::Order;
use m2_store::{EventKind, Gone, StoreError};
use std::collections::HashMap;

/// Messages indexed in one step, so that other inputs are not delayed.
const STEP: u32 = 200;
/// The longest delay before a new message is indexed, in milliseconds. Others are indexed with it.
const INDEX_DELAY_MS: u64 = 2_000;
/// Old events and idempotency keys deleted in one step.
const PRUNE_STEP: u32 = 2_000;
/// Removed contacts whose rows are deleted in one step.
const CONTACTS_STEP: usize = 4;
/// Pages returned to the file system in one step, and the pause until the next, in milliseconds.
const GIVE_BACK_STEP: u32 = 64;
const GIVE_BACK_PAUSE_MS: u64 = 20;
/// The delay before space is returned after a deletion, in milliseconds.
const GIVE_BACK_DELAY_MS: u64 = 1_000;
/// The delay before a failed step is retried, in milliseconds. On a full disk it must not make
/// every batch fail.
const AFTER_FAILURE_MS: u64 = 10_000;
/// The delay before emptying the log is retried, in milliseconds. It fails while a reader is
/// active.
const EMPTY_LOG_AGAIN_MS: u64 = 10_000;
/// The interval of pruning, in milliseconds.
const PRUNE_EVERY_MS: u64 = 3_600_000;
/// How long work by age is deferred while a set clock is not confirmed, in milliseconds.
const SETTLING_MS: u64 = 60_000;
const DAY_MS: u64 = 86_400_000;
/// The time in which a contact's dial budget fills up by itself, in milliseconds.
const BUDGET_MS: u64 = 60_000;
/// The least time for which the rows of a removed contact are kept, in days: its grants are too old
/// after 16 days (`docs/spec/delivery.md#epochs`), idempotency keys of messages to it for 30. Its
/// events must be gone too.
const KEEP_REMOVED_DAYS: u32 = 31;
/// Hidden messages of one contact after which their number is bounded again.
const SILENT_STEP: u32 = 256;

/// Due times of the periodic work, in Unix milliseconds; `u64::MAX` for never. At the start all
/// work is due once.
#[derive(Debug, Default)]
pub(super) struct MaintenanceTimers {
    /// Expired messages are erased.
    expiry: u64,
    /// New messages are indexed.
    index: u64,
    /// Old events, idempotency keys, budgets, invitations and clients are pruned.
    prune: u64,
    /// Rows of removed contacts are pruned.
    contacts: u64,
    /// Old contact requests expire.
    requests: u64,
    /// The next erasure step for a removed contact runs.
    erasure: u64,
    /// The next step of the retention scan runs.
    retention: u64,
    /// Free pages are returned to the file system.
    space: u64,
    /// Hidden messages since their number was last bounded, by contact row.
    silent: HashMap<i64, u32>,
    /// True if this batch erased or replaced a message.
    has_changed: bool,
    /// True if the write-ahead log must be emptied after this batch, as it still holds deleted
    /// data.
    log: bool,
}

impl MaintenanceTimers {
    /// Returns the earliest due time.
    pub(super) fn due(&self) -> u64 {
        let prune = self.prune.min(self.contacts).min(self.requests);
        let freed = self.erasure.min(self.space).min(self.retention);
        self.expiry.min(self.index).min(prune).min(freed)
    }

    /// Schedules the expiry of a message.
    pub(super) fn note_expiry(&mut self, at: Option<u64>) {
        self.expiry = self.expiry.min(at.unwrap_or(u64::MAX));
    }

    /// Records that a message has another text now, or is hidden.
    pub(super) fn note_content_changed(&mut self) {
        self.has_changed = true;
    }

    /// Returns whether a message was erased or replaced since the last call.
    pub(super) fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.has_changed)
    }

    /// Schedules indexing of a new message. Later messages do not defer it.
    pub(super) fn note_text(&mut self, now: u64) {
        self.index = self.index.min(now.saturating_add(INDEX_DELAY_MS));
    }

    /// Schedules the erasure of a removed contact's data.
    pub(super) fn note_erasure(&mut self, now: u64) {
        self.erasure = self.erasure.min(now);
    }

    /// Schedules a retention scan after a retention time changed.
    pub(super) fn note_retention(&mut self, now: u64) {
        self.retention = self.retention.min(now);
    }

    /// Schedules the return of freed space.
    pub(super) fn note_freed(&mut self, now: u64) {
        self.has_changed = true;
        self.space = self.space.min(now.saturating_add(GIVE_BACK_DELAY_MS));
    }
}

impl Engine {
    /// Runs one step of each kind of work that is due.
    pub(super) fn upkeep(&mut self, now: u64) {
        let result = self.try_upkeep(now);
        self.check(result);
        if self.maintenance.requests <= now && self.clock.unsettled().is_some() {
            self.maintenance.requests = now.saturating_add(SETTLING_MS);
        }
        if self.maintenance.requests <= now {
            match self.expire_requests(now) {
                Ok(next) => self.maintenance.requests = next,
                Err(refusal) => self.fail_batch(refusal),
            }
        }
        if self.maintenance.erasure <= now {
            self.maintenance.erasure = now.saturating_add(AFTER_FAILURE_MS);
            match self.erase_next() {
                Ok(more) => self.maintenance.erasure = if more { now } else { u64::MAX },
                Err(refusal) => self.fail_batch(refusal),
            }
        }
        if self.mail.due <= now
            && let Err(refusal) = self.mail_upkeep(now)
        {
            self.fail_batch(refusal);
        }
    }

    fn try_upkeep(&mut self, now: u64) -> Result<(), StoreError> {
        if self.maintenance.expiry <= now {
            self.expire(now)?;
        }
        if self.maintenance.index <= now {
            let more = self.store.index_some(STEP)?;
            self.maintenance.index = if more { now } else { u64::MAX };
        }
        let aged = self.maintenance.prune.min(self.maintenance.contacts);
        if aged.min(self.maintenance.retention) <= now && self.clock.unsettled().is_some() {
            // A wrong clock must not delete data that should be kept for a month.
            self.maintenance.prune = now.saturating_add(SETTLING_MS);
            self.maintenance.contacts = self.maintenance.prune;
            self.maintenance.retention = self.maintenance.prune;
        }
        if self.maintenance.prune <= now {
            self.prune(now)?;
        }
        if self.maintenance.contacts <= now {
            self.prune_contacts(now)?;
        }
        if self.maintenance.retention <= now {
            self.maintenance.retention = now.saturating_add(AFTER_FAILURE_MS);
            let more = self.retain(now)?;
            self.maintenance.retention = now.saturating_add(if more { 0 } else { PRUNE_EVERY_MS });
            self.maintenance.note_freed(now);
        }
        if self.maintenance.space <= now {
            self.give_back(now)?;
        }
        Ok(())
    }

    /// Returns some free pages to the file system. After the last of them the log is emptied.
    fn give_back(&mut self, now: u64) -> Result<(), StoreError> {
        self.maintenance.space = now.saturating_add(AFTER_FAILURE_MS);
        let more = self.store.give_back(GIVE_BACK_STEP)?;
        self.maintenance.log = !more;
        self.maintenance.space = if more {
            now.saturating_add(GIVE_BACK_PAUSE_MS)
        } else {
            u64::MAX
        };
        Ok(())
    }

    /// Empties the write-ahead log after a batch, if that is due.
    pub(super) fn empty_log(&mut self) {
        if !std::mem::take(&mut self.maintenance.log) {
            return;
        }
        match self.store.empty_log() {
            Ok(true) => {}
            Ok(false) | Err(_) => {
                let again = self.now_ms().saturating_add(EMPTY_LOG_AGAIN_MS);
                self.maintenance.space = self.maintenance.space.min(again);
            }
        }
    }

    fn expire(&mut self, now: u64) -> Result<(), StoreError> {
        for (message, contact) in self.store.expired(now, ERASE_STEP)? {
            self.store.erase_message(message, Gone::Expired)?;
            self.event(EventKind::MessageExpired, contact, Some(message), 0)?;
            self.maintenance.note_freed(now);
        }
        self.maintenance.expiry = self.store.next_expiry()?.unwrap_or(u64::MAX);
        Ok(())
    }

    fn prune(&mut self, now: u64) -> Result<(), StoreError> {
        let kept_ms = u64::from(self.limits.event_days) * DAY_MS;
        let before = now.saturating_sub(kept_ms);
        let events = self
            .store
            .prune_events(before, self.limits.max_events, PRUNE_STEP)?;
        let keys = self.store.prune_idempotency(now, PRUNE_STEP)?;
        self.store.prune_budgets(now.saturating_sub(BUDGET_MS))?;
        self.store.prune_invitations(now)?;
        self.prune_clients(now)?;
        let pause = if events || keys { 0 } else { PRUNE_EVERY_MS };
        self.maintenance.prune = now.saturating_add(pause);
        self.maintenance.note_freed(now);
        Ok(())
    }

    /// Deletes rows of contacts that were removed long ago, one step each. A contact with message
    /// history keeps its row, so that search results have a name.
    fn prune_contacts(&mut self, now: u64) -> Result<(), StoreError> {
        let days = KEEP_REMOVED_DAYS.max(self.limits.event_days.saturating_add(1));
        let before = now.saturating_sub(u64::from(days) * DAY_MS);
        // No write may reach a row after it is deleted.
        self.dirty.flush(&self.store)?;
        let mut has_more = false;
        let mut count = 0;
        for row in self.store.removed_before(before)? {
            if count == CONTACTS_STEP {
                has_more = true;
                break;
            }
            let busy = |peer_state: &super::peer_state::PeerState| !peer_state.links.is_empty();
            if self.peers.get(&row).is_none_or(busy) {
                continue;
            }
            count += 1;
            let pruned = self.store.prune_contact(row, STEP)?;
            has_more |= pruned.has_more();
            self.reset_peer(row, pruned.is_gone());
        }
        let pause = if has_more { 0 } else { PRUNE_EVERY_MS };
        self.maintenance.contacts = now.saturating_add(pause);
        if count > 0 {
            self.maintenance.note_freed(now);
        }
        Ok(())
    }

    /// Drops a conversation whose rows are being deleted, and the slot once they are gone.
    fn reset_peer(&mut self, row: i64, gone: bool) {
        let Some(peer_state) = self.peers.get_mut(&row) else {
            return;
        };
        peer_state.conversation = None;
        if let Some(due) = peer_state.timer.take() {
            self.timers.remove(&(due, row));
        }
        let peer_id = peer_state.contact.peer_id;
        if gone {
            self.peers.remove(&row);
            self.rows.remove(&peer_id);
            self.order(peer_id, Order::Rest);
        }
    }

    /// Counts a hidden message of a contact, and from time to time deletes the oldest, as their
    /// number is bounded.
    pub(super) fn note_hidden(&mut self, row: i64) -> Result<(), StoreError> {
        let count = self.maintenance.silent.entry(row).or_default();
        *count += 1;
        if *count >= SILENT_STEP {
            *count = 0;
            self.store.bound_silent(row, 2 * SILENT_STEP)?;
        }
        Ok(())
    }

    /// Runs a step of indexing. Returns whether more remains.
    pub(crate) fn index_step(&mut self) -> Result<bool, Refusal> {
        Ok(self.store.index_some(STEP)?)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::{Parts, Settings};
    use m2_core::ContactState;
    use m2_crypto::{Circle, Identity, PeerId, Secret, provider};
    use m2_store::StoreFile;
    use std::sync::Arc;

    /// Alice's engine, without contacts.
    pub(crate) fn engine() -> (tempfile::TempDir, Engine) {
        let dir = tempfile::tempdir().unwrap();
        let engine = engine_on(dir.path());
        (dir, engine)
    }

    /// Alice's engine on the store in a directory.
    pub(crate) fn engine_on(directory: &std::path::Path) -> Engine {
        let file = StoreFile::new(directory, Secret::new([7; 32]));
        let pem = include_str!("../../../tests/vectors/identities/alice.pem");
        let identity = Identity::from_pem(pem, None, provider::default()).unwrap();
        let engine = Engine::new(Parts {
            store: file.open().unwrap(),
            clock: Arc::new(Clock::manual()),
            identity: Arc::new(identity),
            circle: Circle::public(),
            settings: Settings::default(),
            counters: Arc::default(),
        });
        engine.unwrap()
    }

    fn pass(engine: &mut Engine, days: u64) {
        pass_ms(engine, days * DAY_MS);
    }

    /// Advances the clock by `time` milliseconds and runs the due work.
    pub(crate) fn pass_ms(engine: &mut Engine, time: u64) {
        engine.clock.pass(time);
        engine.store.begin().unwrap();
        engine.run_timers();
        assert!(engine.store_failed.is_none());
        engine.flush_and_commit().unwrap();
    }

    #[test]
    fn removed_contacts_are_pruned_after_a_month_and_blocked_ones_kept() {
        let (_dir, mut engine) = engine();
        let [removed, blocked] = [[1; 32], [2; 32]].map(PeerId::from_bytes);
        for peer in [removed, blocked] {
            engine.new_contact(peer, ContactState::Removed, "").unwrap();
        }
        engine.block_contact(&blocked.to_string()).unwrap();
        pass(&mut engine, 30);
        assert!(engine.row_of(&removed).is_some());
        pass(&mut engine, 2);
        assert!(engine.row_of(&removed).is_none());
        assert!(engine.row_of(&blocked).is_some());
        assert_eq!(engine.store.contacts().unwrap().len(), 1);
    }
}
