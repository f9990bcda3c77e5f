//! How long messages are kept, and how much one contact can make this daemon store.

use super::Engine;
use crate::refusal::Refusal;
use crate::store::{Looked, StoreError};

/// Messages looked at in one step: some milliseconds when all of them are erased.
const STEP: u32 = 32;
/// Contacts without a limit that one step passes.
const PASSED: usize = 1_000;
/// Rows of each kind that are not shown and are forgotten in one step.
const FORGET_STEP: u32 = 2 * STEP;
const DAY_MS: u64 = 86_400_000;

/// Where a round through all contacts is.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Round {
    contact: i64,
    after: i64,
}

impl Engine {
    /// Does one step of a round: erases messages that are too old, contact by contact, then the
    /// oldest of all while there are too many bytes. Returns whether the round goes on.
    pub(super) fn retain(&mut self, now: u64) -> Result<bool, StoreError> {
        for _ in 0..PASSED {
            let Some(contact) = self.store.contact_from(self.round.contact)? else {
                return self.retain_bytes();
            };
            if contact != self.round.contact {
                self.round = Round { contact, after: 0 };
            }
            let Some(keep_ms) = self.keep_ms(contact)? else {
                self.next_contact();
                continue;
            };
            let before = now.saturating_sub(keep_ms);
            match self
                .store
                .erase_old(contact, self.round.after, before, STEP)?
            {
                Looked::UpTo(row) => self.round.after = row,
                Looked::ToTheEnd => self.next_contact(),
            }
            self.store.bound_silent(contact, FORGET_STEP)?;
            return Ok(true);
        }
        Ok(true)
    }

    fn next_contact(&mut self) {
        self.round = Round {
            contact: self.round.contact.saturating_add(1),
            after: 0,
        };
    }

    fn retain_bytes(&mut self) -> Result<bool, StoreError> {
        let goes_on = self.limits.keep_bytes > 0
            && self.store.erase_beyond(self.limits.keep_bytes, STEP)? != Looked::ToTheEnd;
        if !goes_on {
            self.round = Round::default();
        }
        Ok(goes_on)
    }

    /// How long a contact's messages are kept, in milliseconds: the shorter of the profile's time
    /// and its own; `None` for ever.
    fn keep_ms(&self, contact: i64) -> Result<Option<u64>, StoreError> {
        let profile = self.limits.keep_days;
        let profile = (profile > 0).then(|| u64::from(profile).saturating_mul(DAY_MS));
        let own = self.store.keep_of(contact)?;
        let own = own.map(|seconds| seconds.saturating_mul(1_000));
        Ok([profile, own].into_iter().flatten().min())
    }

    /// Sets for how many seconds a contact's messages are kept; 0: as the profile's.
    pub(super) fn set_keep(&mut self, row: i64, seconds: u64) -> Result<(), Refusal> {
        self.store.set_keep(row, (seconds > 0).then_some(seconds))?;
        let now = self.now_ms();
        self.agenda.note_retention(now);
        Ok(())
    }

    /// Whether a contact sent as much as is kept of one. Then nothing more is taken from it: what it
    /// sends is not acknowledged and waits at its side.
    pub(super) fn is_over_quota(&self, row: i64) -> Result<bool, StoreError> {
        let is_over = self.has_reached_quota(row)?;
        if is_over {
            self.counters.count("CONTACT_QUOTA_REACHED");
        }
        Ok(is_over)
    }

    pub(super) fn has_reached_quota(&self, row: i64) -> Result<bool, StoreError> {
        let usage = self.store.usage_of(row)?;
        Ok(usage.received >= self.limits.contact_messages
            || usage.received_bytes >= self.limits.contact_bytes)
    }

    /// What the user is told about contacts that sent too much.
    pub(super) fn quota_warning(&self) -> Result<Option<String>, StoreError> {
        let (rows, bytes) = (self.limits.contact_messages, self.limits.contact_bytes);
        let count = self.store.contacts_beyond(rows, bytes)?;
        Ok((count > 0).then(|| {
            format!(
                "{count} contacts have sent as much as is kept of one contact, and nothing more is \
                 taken from them: raise [store] contact_messages or contact_bytes, or keep their \
                 messages for a shorter time (m2 contact policy CONTACT --keep)."
            )
        }))
    }
}

#[cfg(test)]
mod tests;
