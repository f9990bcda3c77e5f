//! What must be done from time to time: time to live, retention, the search index.

use super::Engine;
use crate::refusal::Refusal;
use crate::store::{EventKind, Gone, StoreError};
use std::collections::HashMap;

/// Messages indexed or expired in one go, so that nobody waits long.
const STEP: u32 = 200;
/// How long after the last message the index follows, in milliseconds.
const INDEX_DELAY_MS: u64 = 2_000;
/// How often old rows are looked for, in milliseconds.
const PRUNE_EVERY_MS: u64 = 3_600_000;
const DAY_MS: u64 = 86_400_000;
/// How long a contact's budget for dials is not full by itself.
const BUDGET_MS: u64 = 60_000;
/// How long the rows of a removed contact are kept at least, in days: grants that it may have
/// used are too old after 16 (spec §5), idempotency keys of messages to it after 30. Its events
/// must be gone too.
const KEEP_REMOVED_DAYS: u32 = 31;
/// How many read receipts and retractions of one contact come between two looks at their number.
const SILENT_STEP: u32 = 256;

/// When what is due, Unix milliseconds; `u64::MAX` for never. At the start everything is looked at
/// once.
#[derive(Debug, Default)]
pub(super) struct Agenda {
    /// A message's time to live ends.
    expiry: u64,
    /// The search index follows.
    index: u64,
    /// Old rows are looked for.
    prune: u64,
    /// Rows of removed contacts are looked for.
    contacts: u64,
    /// Old contact requests are looked for.
    requests: u64,
    /// Receipts and retractions since the last look at their number, by contact row.
    silent: HashMap<i64, u32>,
}

impl Agenda {
    /// When the first of it is due.
    pub(super) fn due(&self) -> u64 {
        let prune = self.prune.min(self.contacts).min(self.requests);
        self.expiry.min(self.index).min(prune)
    }

    /// A message ends then.
    pub(super) fn note_expiry(&mut self, at: Option<u64>) {
        self.expiry = self.expiry.min(at.unwrap_or(u64::MAX));
    }

    /// A text came: the index follows once it has been quiet for a while.
    pub(super) fn note_text(&mut self, now: u64) {
        self.index = now.saturating_add(INDEX_DELAY_MS);
    }
}

impl Engine {
    /// Does what is due, one step of each.
    pub(super) fn upkeep(&mut self, now: u64) {
        let result = self.try_upkeep(now);
        self.check(result);
        if self.agenda.requests <= now {
            match self.expire_requests(now) {
                Ok(next) => self.agenda.requests = next,
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
        if self.agenda.expiry <= now {
            self.expire(now)?;
        }
        if self.agenda.index <= now {
            let more = self.store.index_some(STEP)?;
            self.agenda.index = if more { now } else { u64::MAX };
        }
        if self.agenda.prune <= now {
            self.prune(now)?;
        }
        if self.agenda.contacts <= now {
            self.prune_contacts(now)?;
        }
        Ok(())
    }

    fn expire(&mut self, now: u64) -> Result<(), StoreError> {
        for (message, contact) in self.store.expired(now, STEP)? {
            self.store.erase_message(message, Gone::Expired)?;
            self.event(EventKind::MessageExpired, contact, Some(message), 0)?;
        }
        self.agenda.expiry = self.store.next_expiry()?.unwrap_or(u64::MAX);
        Ok(())
    }

    fn prune(&mut self, now: u64) -> Result<(), StoreError> {
        let kept_ms = u64::from(self.limits.event_days) * DAY_MS;
        self.store
            .prune_events(now.saturating_sub(kept_ms), self.limits.max_events)?;
        self.store.prune_idempotency(now)?;
        self.store.prune_budgets(now.saturating_sub(BUDGET_MS))?;
        self.store.prune_invitations(now)?;
        self.agenda.prune = now.saturating_add(PRUNE_EVERY_MS);
        Ok(())
    }

    /// Deletes what is left of contacts that were removed long ago, one step of each. Those with
    /// history stay, so that it has a name when it is found.
    fn prune_contacts(&mut self, now: u64) -> Result<(), StoreError> {
        let days = KEEP_REMOVED_DAYS.max(self.limits.event_days.saturating_add(1));
        let before = now.saturating_sub(u64::from(days) * DAY_MS);
        // Nothing may be written to a row after it is gone.
        self.dirty.flush(&self.store)?;
        let mut has_more = false;
        for row in self.store.removed_before(before)? {
            let busy = |slot: &super::slot::Slot| !slot.links.is_empty();
            if self.slots.get(&row).is_none_or(busy) {
                continue;
            }
            let pruned = self.store.prune_contact(row, STEP)?;
            has_more |= pruned.has_more();
            self.reset_slot(row, pruned.is_gone());
        }
        let pause = if has_more { 0 } else { PRUNE_EVERY_MS };
        self.agenda.contacts = now.saturating_add(pause);
        Ok(())
    }

    /// Forgets a conversation whose rows are being deleted, and the slot once they are gone.
    fn reset_slot(&mut self, row: i64, gone: bool) {
        let Some(slot) = self.slots.get_mut(&row) else {
            return;
        };
        slot.conversation = None;
        if let Some(due) = slot.timer.take() {
            self.timers.remove(&(due, row));
        }
        let peer_id = slot.contact.peer_id;
        if gone {
            self.slots.remove(&row);
            self.rows.remove(&peer_id);
            self.dialer.rest(peer_id);
        }
    }

    /// Counts a message of a contact that shows nothing, and forgets the oldest from time to
    /// time: their number is bounded.
    pub(super) fn note_silent(&mut self, row: i64) -> Result<(), StoreError> {
        let count = self.agenda.silent.entry(row).or_default();
        *count += 1;
        if *count >= SILENT_STEP {
            *count = 0;
            self.store.bound_silent(row)?;
        }
        Ok(())
    }

    /// Brings the search index a step further. Says whether more remains.
    pub fn index_step(&mut self) -> Result<bool, Refusal> {
        Ok(self.store.index_some(STEP)?)
    }
}

#[cfg(test)]
pub(super) mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::clock::Clock;
    use crate::config::StoreConfig;
    use crate::engine::Parts;
    use crate::store::ContactState;
    use crate::store::tests::scratch;
    use m2_crypto::{Circle, Identity, PeerId, provider};
    use std::sync::Arc;

    /// Alice's, with nobody in it.
    pub(in crate::engine) fn engine() -> (tempfile::TempDir, Engine) {
        let (dir, store) = scratch();
        let pem = include_str!("../../../tests/vectors/identities/alice.pem");
        let identity = Identity::from_pem(pem, None, provider::default()).unwrap();
        let engine = Engine::new(Parts {
            store,
            clock: Arc::new(Clock::new(0)),
            identity: Arc::new(identity),
            circle: Circle::public(),
            mailbox: crate::config::MailboxConfig::default(),
            lines: crate::engine::LineSettings::default(),
            limits: StoreConfig::default(),
            bus: Arc::default(),
            dialer: Default::default(),
            meetings: Default::default(),
            counters: Arc::default(),
        });
        (dir, engine.unwrap())
    }

    fn pass(engine: &mut Engine, days: u64) {
        pass_ms(engine, days * DAY_MS);
    }

    /// Lets so many milliseconds pass, and does what is due then.
    pub(in crate::engine) fn pass_ms(engine: &mut Engine, time: u64) {
        let now = engine.clock.now_ms();
        engine.clock.raise(now + time);
        engine.store.begin().unwrap();
        engine.run_timers();
        assert!(engine.store_failed.is_none());
        engine.flush_and_commit().unwrap();
    }

    #[test]
    fn removed_contacts_go_after_a_month_and_blocked_ones_stay() {
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
