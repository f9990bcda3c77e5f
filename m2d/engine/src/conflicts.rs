//! Conflicts between a store and what the other side has seen of it (`docs/spec/delivery.md#places`).

use crate::state::{Renewal, State};
use m2_delivery::Conflict;
use m2_store::{ContactRowId, EventKind, StoreError};

/// The least time between two renewals of all conversations, in milliseconds.
const RENEW_ALL_MS: u64 = 3_600_000;
/// The least time between two events about the same conflict, in milliseconds.
const TELL_AGAIN_MS: u64 = 24 * 3_600_000;
/// How long a conflict is reported after it was last proven, in milliseconds.
const WARN_MS: u64 = 7 * 24 * 3_600_000;
/// Keys of the last proven conflict of the local store: its time, and its number.
const OWN_CONFLICT_MS: &str = "conflict ms";
const OWN_CONFLICT: &str = "conflict";
/// Key of the time at which all conversations last took new incarnations.
const RENEWED_ALL_MS: &str = "renewed ms";

/// Returns the number of a conflict in the event log and the store.
const fn conflict_number(conflict: Conflict) -> i64 {
    match conflict {
        Conflict::OwnOlder | Conflict::PeerOlder => 1,
        Conflict::OwnTwice | Conflict::PeerTwice => 2,
    }
}

/// Reports that messages of a contact are lost, because one side lost its state.
pub(crate) fn on_history_lost(
    engine: &mut State,
    row: ContactRowId,
    missing: Option<u32>,
) -> Result<(), StoreError> {
    let missing = missing.map_or(0, i64::from);
    engine
        .batch
        .event(EventKind::HistoryLost, row, None, missing)
}

/// Handles a store that is older than the state the other side has seen.
pub(crate) fn on_conflict(
    engine: &mut State,
    row: ContactRowId,
    conflict: Conflict,
) -> Result<(), StoreError> {
    let number = conflict_number(conflict);
    let now = engine.batch.now_ms();
    if matches!(conflict, Conflict::PeerOlder | Conflict::PeerTwice) {
        let (before, at) = engine.batch.store.contact_conflict(row)?;
        engine.batch.store.put_contact_conflict(row, number, now)?;
        if before == number && is_within(now, at, TELL_AGAIN_MS) {
            return Ok(());
        }
        return engine
            .batch
            .event(EventKind::ContactConflict, row, None, number);
    }
    let renewed = stamp(engine, RENEWED_ALL_MS)?;
    if !is_within(now, renewed, RENEW_ALL_MS) {
        engine
            .batch
            .store
            .set_number(RENEWED_ALL_MS, stamped(now))?;
        // The machine has renewed this conversation already if its own incarnation is shared.
        let renewal = match conflict {
            Conflict::OwnOlder => Renewal::AllBut(row),
            _ => Renewal::All,
        };
        engine.conversations.renewal = Some(renewal);
    }
    let (before, at) = (
        stamp(engine, OWN_CONFLICT)?,
        stamp(engine, OWN_CONFLICT_MS)?,
    );
    engine.batch.store.set_number(OWN_CONFLICT, number)?;
    engine
        .batch
        .store
        .set_number(OWN_CONFLICT_MS, stamped(now))?;
    if before == stamp_of(number) && is_within(now, at, TELL_AGAIN_MS) {
        return Ok(());
    }
    match conflict {
        Conflict::OwnTwice => {
            tracing::error!("a second daemon runs from a copy of this one's data")
        }
        _ => tracing::error!("this daemon's store is older than what a contact has seen of it"),
    }
    engine
        .batch
        .event(EventKind::OwnConflict, row, None, number)
}

/// Returns the warning about a conflict of the local store, if one is recent.
pub(crate) fn conflict_warning(engine: &State) -> Result<Option<String>, StoreError> {
    let at = stamp(engine, OWN_CONFLICT_MS)?;
    if !is_within(engine.batch.now_ms(), at, WARN_MS) {
        return Ok(None);
    }
    let text = if stamp(engine, OWN_CONFLICT)? == 1 {
        "This daemon's data is older than what a contact has seen of it: it was restored from \
         a copy, or a second daemon runs from a copy. Messages received after the copy was \
         made are missing here. Make sure that only one daemon uses this identity."
    } else {
        "A second daemon runs with this identity, from a copy of this one's data: each of the \
         two receives only some of the messages. Stop one of them and do not start it again."
    };
    Ok(Some(text.to_owned()))
}

/// Returns the conflict of a contact's store found lately, as a number; 0 for no conflict.
pub(crate) fn recent_conflict(engine: &State, row: ContactRowId) -> Result<i64, StoreError> {
    let (conflict, at) = engine.batch.store.contact_conflict(row)?;
    let is_recent = is_within(engine.batch.now_ms(), at, WARN_MS);
    Ok(if is_recent { conflict } else { 0 })
}

fn stamp(engine: &State, key: &str) -> Result<u64, StoreError> {
    Ok(engine.batch.store.number(key)?.map_or(0, stamp_of))
}

/// Returns whether less than `span` has passed since `at` (0: never). A time in the future was
/// recorded by a wrong clock and is ignored.
const fn is_within(now: u64, at: u64, span: u64) -> bool {
    at != 0 && at <= now && now - at < span
}

fn stamped(ms: u64) -> i64 {
    i64::try_from(ms).unwrap_or(i64::MAX)
}

fn stamp_of(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}
