//! Retention of messages, and the quota of one contact.

use super::Engine;
use crate::refusal::Refusal;
use m2_store::{Looked, StoreError};

/// Messages examined in one step: some milliseconds if all of them are erased.
const STEP: u32 = 32;
/// Contacts without a limit that one step skips at most.
const PASSED: usize = 1_000;
/// Hidden rows of each kind that are deleted in one step.
const FORGET_STEP: u32 = 2 * STEP;
const DAY_MS: u64 = 86_400_000;

/// Progress of the scan through all contacts.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Round {
    contact: i64,
    after: i64,
}

impl Engine {
    /// Performs one step of the scan: erases messages that are too old, contact by contact, then
    /// the oldest of all while the total size is above its limit. Returns whether the scan
    /// continues.
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

    /// Returns how long a contact's messages are kept, in milliseconds: the shorter of the
    /// profile's time and its own. `None` means for ever.
    fn keep_ms(&self, contact: i64) -> Result<Option<u64>, StoreError> {
        let profile = self.limits.keep_days;
        let profile = (profile > 0).then(|| u64::from(profile).saturating_mul(DAY_MS));
        let own = self.store.keep_of(contact)?;
        let own = own.map(|seconds| seconds.saturating_mul(1_000));
        Ok([profile, own].into_iter().flatten().min())
    }

    /// Sets a contact's own retention time in seconds; 0 removes it, so that the profile's applies.
    pub(super) fn set_keep(&mut self, row: i64, seconds: u64) -> Result<(), Refusal> {
        self.store.set_keep(row, (seconds > 0).then_some(seconds))?;
        let now = self.now_ms();
        self.maintenance.note_retention(now);
        Ok(())
    }

    /// Returns whether a contact reached its quota, and counts it. Nothing more is taken from it
    /// then: its messages are not acknowledged and stay in its outbox.
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

    /// Returns the warning about contacts that reached their quota.
    pub(super) fn quota_warning(&self) -> Result<Option<String>, StoreError> {
        let (rows, bytes) = (self.limits.contact_messages, self.limits.contact_bytes);
        let count = self.store.contacts_beyond(rows, bytes)?;
        Ok((count > 0).then(|| {
            format!(
                "{count} contacts have reached their quota, and no more messages are taken from \
                 them: raise [store] contact_messages or contact_bytes, or keep their \
                 messages for a shorter time (m2 contact policy CONTACT --keep)."
            )
        }))
    }
}

#[cfg(test)]
mod tests;
