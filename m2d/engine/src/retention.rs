//! Retention of messages, and the quota of one contact.

use crate::refusal::Refusal;
use crate::state::{Round, State};
use m2_store::{ContactRowId, Looked, MessageRowId, StoreError};

/// Messages examined in one step: some milliseconds if all of them are erased.
const STEP: u32 = 32;
/// Contacts without a limit that one step skips at most.
const PASSED: usize = 1_000;
/// Hidden rows of each kind that are deleted in one step.
const FORGET_STEP: u32 = 2 * STEP;
const DAY_MS: u64 = 86_400_000;

/// Performs one step of the scan: erases messages that are too old, contact by contact, then
/// the oldest of all while the total size is above its limit. Returns whether the scan
/// continues.
pub(crate) fn retain(engine: &mut State, now: u64) -> Result<bool, StoreError> {
    for _ in 0..PASSED {
        let Some(contact) = engine.batch.store.contact_from(engine.round.contact)? else {
            return retain_bytes(engine);
        };
        if contact != engine.round.contact {
            engine.round = Round {
                contact,
                after: MessageRowId::default(),
            };
        }
        let Some(keep_ms) = keep_ms(engine, contact)? else {
            next_contact(engine);
            continue;
        };
        let before = now.saturating_sub(keep_ms);
        match engine
            .batch
            .store
            .erase_old(contact, engine.round.after, before, STEP)?
        {
            Looked::UpTo(row) => engine.round.after = row,
            Looked::ToTheEnd => next_contact(engine),
        }
        engine.batch.store.bound_silent(contact, FORGET_STEP)?;
        return Ok(true);
    }
    Ok(true)
}

fn next_contact(engine: &mut State) {
    engine.round = Round {
        contact: engine.round.contact.next(),
        after: MessageRowId::default(),
    };
}

fn retain_bytes(engine: &mut State) -> Result<bool, StoreError> {
    let goes_on = engine.batch.limits.keep_bytes > 0
        && engine
            .batch
            .store
            .erase_beyond(engine.batch.limits.keep_bytes, STEP)?
            != Looked::ToTheEnd;
    if !goes_on {
        engine.round = Round::default();
    }
    Ok(goes_on)
}

/// Returns how long a contact's messages are kept, in milliseconds: the shorter of the
/// profile's time and its own. `None` means for ever.
fn keep_ms(engine: &State, contact: ContactRowId) -> Result<Option<u64>, StoreError> {
    let profile = engine.batch.limits.keep_days;
    let profile = (profile > 0).then(|| u64::from(profile).saturating_mul(DAY_MS));
    let own = engine.batch.store.keep_of(contact)?;
    let own = own.map(|seconds| seconds.saturating_mul(1_000));
    Ok([profile, own].into_iter().flatten().min())
}

/// Sets a contact's own retention time in seconds; 0 removes it, so that the profile's applies.
pub(crate) fn set_keep(engine: &mut State, row: ContactRowId, seconds: u64) -> Result<(), Refusal> {
    engine
        .batch
        .store
        .set_keep(row, (seconds > 0).then_some(seconds))?;
    let now = engine.batch.now_ms();
    engine.maintenance.note_retention(now);
    Ok(())
}

/// Returns whether a contact reached its quota, and counts it. Nothing more is taken from it
/// then: its messages are not acknowledged and stay in its outbox.
pub(crate) fn is_over_quota(engine: &State, row: ContactRowId) -> Result<bool, StoreError> {
    let is_over = has_reached_quota(engine, row)?;
    if is_over {
        engine.batch.counters.count("CONTACT_QUOTA_REACHED");
    }
    Ok(is_over)
}

pub(crate) fn has_reached_quota(engine: &State, row: ContactRowId) -> Result<bool, StoreError> {
    let usage = engine.batch.store.usage_of(row)?;
    Ok(usage.received >= engine.batch.limits.contact_messages
        || usage.received_bytes >= engine.batch.limits.contact_bytes)
}

/// Returns the warning about contacts that reached their quota.
pub(crate) fn quota_warning(engine: &State) -> Result<Option<String>, StoreError> {
    let (rows, bytes) = (
        engine.batch.limits.contact_messages,
        engine.batch.limits.contact_bytes,
    );
    let count = engine.batch.store.contacts_beyond(rows, bytes)?;
    Ok((count > 0).then(|| {
        format!(
            "{count} contacts have reached their quota, and no more messages are taken from \
             them: raise [store] contact_messages or contact_bytes, or keep their \
             messages for a shorter time (m2 contact policy CONTACT --keep)."
        )
    }))
}

#[cfg(test)]
mod tests;
