//! Periodic work: expiry, retention, pruning and the search index.

use crate::erasing::ERASE_STEP;
use crate::refusal::Refusal;
use crate::state::{PeerState, State};
use crate::{clients, conversation, erasing, letters, peer_requests, retention, sessions, suites};
use m2_core::dial::Order;
use m2_store::{ContactRowId, EventKind, Gone, StoreError};

/// Messages indexed in one step, so that other inputs are not delayed.
const STEP: u32 = 200;
/// Old events and idempotency keys deleted in one step.
const PRUNE_STEP: u32 = 2_000;
/// Removed contacts whose rows are deleted in one step.
const CONTACTS_STEP: usize = 4;
/// Pages returned to the file system in one step, and the pause until the next, in milliseconds.
const GIVE_BACK_STEP: u32 = 64;
const GIVE_BACK_PAUSE_MS: u64 = 20;
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

/// Returns when the next timed work is due, in Unix milliseconds; 0 for at once.
pub(crate) fn next_due_ms(engine: &State) -> u64 {
    let first = |due: Option<u64>| due.unwrap_or(u64::MAX);
    let timer = first(engine.conversations.timers.first().map(|(due, _)| *due));
    let crossed = first(engine.sessions.crossed.first().map(|(due, _)| *due));
    let mail = engine.mail.due.min(engine.mail.keys_due);
    let periodic = engine.maintenance.due().min(mail);
    let reports = engine
        .lines
        .days_until_ms
        .min(engine.batch.changed.again_ms);
    let suites = engine.suites.due_ms();
    timer.min(crossed).min(periodic).min(reports).min(suites)
}

/// Runs all timed work that is due.
pub(crate) fn run_timers(engine: &mut State) {
    let now = engine.batch.now_ms();
    for row in engine.conversations.take_due(now) {
        conversation::on_timeout(engine, row);
    }
    while let Some((due, id)) = engine.sessions.crossed.first().copied() {
        if due > now {
            break;
        }
        engine.sessions.crossed.remove(&(due, id));
        sessions::end_crossed(engine, id);
    }
    suites::store_due(engine, now);
    if engine.batch.changed.again_ms <= now {
        // The end of this batch reports.
        engine.batch.changed.again_ms = u64::MAX;
    }
    if engine.lines.days_until_ms <= now {
        engine.lines.days_until_ms = u64::MAX;
        engine.batch.changed.relays = true;
    }
    let mail = engine.mail.due.min(engine.mail.keys_due);
    if engine.maintenance.due().min(mail) <= now {
        upkeep(engine, now);
    }
}

/// Runs one step of each kind of work that is due.
pub(crate) fn upkeep(engine: &mut State, now: u64) {
    let result = try_upkeep(engine, now);
    engine.batch.check(result);
    if engine.maintenance.requests <= now && engine.batch.clock.unsettled().is_some() {
        engine.maintenance.requests = now.saturating_add(SETTLING_MS);
    }
    if engine.maintenance.requests <= now {
        match peer_requests::expire(engine, now) {
            Ok(next) => engine.maintenance.requests = next,
            Err(refusal) => engine.batch.fail(refusal),
        }
    }
    if engine.maintenance.erasure <= now {
        engine.maintenance.erasure = now.saturating_add(AFTER_FAILURE_MS);
        match erasing::erase_next(engine) {
            Ok(more) => engine.maintenance.erasure = if more { now } else { u64::MAX },
            Err(refusal) => engine.batch.fail(refusal),
        }
    }
    if engine.mail.due <= now
        && let Err(refusal) = letters::upkeep(engine, now)
    {
        engine.batch.fail(refusal);
    }
}

fn try_upkeep(engine: &mut State, now: u64) -> Result<(), StoreError> {
    if engine.maintenance.expiry <= now {
        expire(engine, now)?;
    }
    if engine.maintenance.index <= now {
        let more = engine.batch.store.index_some(STEP)?;
        engine.maintenance.index = if more { now } else { u64::MAX };
    }
    let aged = engine.maintenance.prune.min(engine.maintenance.contacts);
    if aged.min(engine.maintenance.retention) <= now && engine.batch.clock.unsettled().is_some() {
        // A wrong clock must not delete data that should be kept for a month.
        engine.maintenance.prune = now.saturating_add(SETTLING_MS);
        engine.maintenance.contacts = engine.maintenance.prune;
        engine.maintenance.retention = engine.maintenance.prune;
    }
    if engine.maintenance.prune <= now {
        prune(engine, now)?;
    }
    if engine.maintenance.contacts <= now {
        prune_contacts(engine, now)?;
    }
    if engine.maintenance.retention <= now {
        engine.maintenance.retention = now.saturating_add(AFTER_FAILURE_MS);
        let more = retention::retain(engine, now)?;
        engine.maintenance.retention = now.saturating_add(if more { 0 } else { PRUNE_EVERY_MS });
        engine.maintenance.note_freed(now);
    }
    if engine.maintenance.space <= now {
        give_back(engine, now)?;
    }
    if engine.mail.keys_due <= now {
        erase_keys(engine, now)?;
    }
    Ok(())
}

/// Erases the keys for letters that have ended. A wrong clock must not erase those that are in use.
fn erase_keys(engine: &mut State, now: u64) -> Result<(), StoreError> {
    if engine.batch.clock.unsettled().is_some() {
        engine.mail.keys_due = now.saturating_add(SETTLING_MS);
        return Ok(());
    }
    let store = &engine.batch.store;
    store.erase_ended_tokens(now / 1_000)?;
    store.erase_ended_secrets(now / 1_000)?;
    let ends = [store.next_token_end_s()?, store.next_secret_end_s()?];
    let next = ends.into_iter().flatten().min();
    engine.mail.keys_due = next.map_or(u64::MAX, |end| end.saturating_mul(1_000));
    Ok(())
}

/// Returns some free pages to the file system. After the last of them the log is emptied.
fn give_back(engine: &mut State, now: u64) -> Result<(), StoreError> {
    engine.maintenance.space = now.saturating_add(AFTER_FAILURE_MS);
    let more = engine.batch.store.give_back(GIVE_BACK_STEP)?;
    engine.maintenance.log = !more;
    engine.maintenance.space = if more {
        now.saturating_add(GIVE_BACK_PAUSE_MS)
    } else {
        u64::MAX
    };
    Ok(())
}

/// Empties the write-ahead log after a batch, if that is due.
pub(crate) fn empty_log(engine: &mut State) {
    if !std::mem::take(&mut engine.maintenance.log) {
        return;
    }
    match engine.batch.store.empty_log() {
        Ok(true) => {}
        Ok(false) | Err(_) => {
            let again = engine.batch.now_ms().saturating_add(EMPTY_LOG_AGAIN_MS);
            engine.maintenance.space = engine.maintenance.space.min(again);
        }
    }
}

fn expire(engine: &mut State, now: u64) -> Result<(), StoreError> {
    for (message, contact) in engine.batch.store.expired(now, ERASE_STEP)? {
        engine.batch.store.erase_message(message, Gone::Expired)?;
        engine
            .batch
            .event(EventKind::MessageExpired, contact, Some(message), 0)?;
        engine.maintenance.note_freed(now);
    }
    engine.maintenance.expiry = engine.batch.store.next_expiry()?.unwrap_or(u64::MAX);
    Ok(())
}

fn prune(engine: &mut State, now: u64) -> Result<(), StoreError> {
    let kept_ms = u64::from(engine.batch.limits.event_days) * DAY_MS;
    let before = now.saturating_sub(kept_ms);
    let events =
        engine
            .batch
            .store
            .prune_events(before, engine.batch.limits.max_events, PRUNE_STEP)?;
    let keys = engine.batch.store.prune_idempotency(now, PRUNE_STEP)?;
    engine
        .batch
        .store
        .prune_budgets(now.saturating_sub(BUDGET_MS))?;
    engine.batch.store.prune_invitations(now)?;
    clients::prune(engine, now)?;
    let pause = if events || keys { 0 } else { PRUNE_EVERY_MS };
    engine.maintenance.prune = now.saturating_add(pause);
    engine.maintenance.note_freed(now);
    Ok(())
}

/// Deletes rows of contacts that were removed long ago, one step each. A contact with message
/// history keeps its row, so that search results have a name.
fn prune_contacts(engine: &mut State, now: u64) -> Result<(), StoreError> {
    let days = KEEP_REMOVED_DAYS.max(engine.batch.limits.event_days.saturating_add(1));
    let before = now.saturating_sub(u64::from(days) * DAY_MS);
    // No write may reach a row after it is deleted.
    engine.flush()?;
    let mut has_more = false;
    let mut count = 0;
    for row in engine.batch.store.removed_before(before)? {
        if count == CONTACTS_STEP {
            has_more = true;
            break;
        }
        let busy = |peer_state: &PeerState| !peer_state.links.is_empty();
        if engine.peers.get(&row).is_none_or(busy) {
            continue;
        }
        count += 1;
        let pruned = engine.batch.store.prune_contact(row, STEP)?;
        has_more |= pruned.has_more();
        reset_peer(engine, row, pruned.is_gone());
    }
    let pause = if has_more { 0 } else { PRUNE_EVERY_MS };
    engine.maintenance.contacts = now.saturating_add(pause);
    if count > 0 {
        engine.maintenance.note_freed(now);
    }
    Ok(())
}

/// Drops a conversation whose rows are being deleted, and the slot once they are gone.
fn reset_peer(engine: &mut State, row: ContactRowId, gone: bool) {
    let Some(peer_state) = engine.peers.get_mut(&row) else {
        return;
    };
    peer_state.conversation = None;
    if let Some(due) = peer_state.timer.take() {
        engine.conversations.timers.remove(&(due, row));
    }
    let peer_id = peer_state.contact.peer_id;
    if gone {
        engine.peers.remove(row);
        engine.batch.order(peer_id, Order::Rest);
    }
}

/// Runs a step of indexing. Returns whether more remains.
pub(crate) fn index_step(engine: &mut State) -> Result<bool, Refusal> {
    Ok(engine.batch.store.index_some(STEP)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Engine;
    use crate::testing::{engine, pass_ms};
    use crate::{contacts, relations};
    use m2_core::ContactState;
    use m2_crypto::PeerId;

    fn pass(engine: &mut Engine, days: u64) {
        pass_ms(engine, days * DAY_MS);
    }

    #[test]
    fn removed_contacts_are_pruned_after_a_month_and_blocked_ones_kept() {
        let (_dir, mut engine) = engine();
        let [removed, blocked] = [[1; 32], [2; 32]].map(PeerId::from_bytes);
        for peer in [removed, blocked] {
            relations::begin(&mut engine.state, peer, ContactState::Removed, "").unwrap();
        }
        contacts::block(&mut engine.state, &blocked.to_string()).unwrap();
        pass(&mut engine, 30);
        assert!(engine.state.peers.row_of(&removed).is_some());
        pass(&mut engine, 2);
        assert!(engine.state.peers.row_of(&removed).is_none());
        assert!(engine.state.peers.row_of(&blocked).is_some());
        assert_eq!(engine.state.batch.store.contacts().unwrap().len(), 1);
    }
}
