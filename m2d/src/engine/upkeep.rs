//! What must be done from time to time: time to live, retention, the search index.

use super::Engine;
use crate::refusal::Refusal;
use crate::store::{EventKind, Gone, StoreError};

/// Messages indexed or expired in one go, so that nobody waits long.
const STEP: u32 = 200;
/// How long after the last message the index follows, in milliseconds.
const INDEX_DELAY_MS: u64 = 2_000;
/// How often old rows are looked for, in milliseconds.
const PRUNE_EVERY_MS: u64 = 3_600_000;
const DAY_MS: u64 = 86_400_000;

/// When what is due, Unix milliseconds; `u64::MAX` for never.
#[derive(Debug, Clone, Copy)]
pub(super) struct Agenda {
    /// A message's time to live ends.
    expiry: u64,
    /// The search index follows.
    index: u64,
    /// Old rows are looked for.
    prune: u64,
}

impl Default for Agenda {
    /// Everything is looked at once, at the start.
    fn default() -> Self {
        Self {
            expiry: 0,
            index: 0,
            prune: 0,
        }
    }
}

impl Agenda {
    /// When the first of it is due.
    pub(super) fn due(&self) -> u64 {
        self.expiry.min(self.index).min(self.prune)
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
        self.store.prune_invitations(now)?;
        self.agenda.prune = now.saturating_add(PRUNE_EVERY_MS);
        Ok(())
    }

    /// Brings the search index a step further. Says whether more remains.
    pub fn index_step(&mut self) -> Result<bool, Refusal> {
        Ok(self.store.index_some(STEP)?)
    }
}
