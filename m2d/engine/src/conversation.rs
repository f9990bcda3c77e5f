//! Drives the delivery state machines: feeds them, stores their writes and performs their actions.

use crate::effect::{Effect, NoticeKind, Step};
use crate::inbox::Arrival;
use crate::refusal::Refusal;
use crate::state::{Session, State};
use crate::{conflicts, inbox};
use m2_core::sessions::SessionId;
use m2_crypto::envelope::SESSION_NAME_BYTES;
use m2_delivery::{
    self, Ack, Action, Body, Committed, ContentHash, Context, Conversation, History, Limits,
    MessageId, Payload, Queued, SavedHeld, SavedOutbox, Time, Write,
};
use m2_limits::counters::Counters;
use m2_store::{ContactRowId, OutboxPayload, Store, StoreError};
use m2_wire::{Envelope, Message};
use std::cell::RefCell;
use std::sync::Arc;

/// The delivery machine's view of the store. A store error makes the batch fail.
struct StoredHistory<'a> {
    store: &'a Store,
    error: RefCell<Option<StoreError>>,
}

impl History for StoredHistory<'_> {
    fn committed(&self, id: &MessageId) -> Option<Committed> {
        self.store.committed(id).unwrap_or_else(|error| {
            self.error.replace(Some(error));
            None
        })
    }

    fn queued(&self, id: &MessageId) -> Queued {
        match self.store.outbox_payload(id) {
            Ok(OutboxPayload::There(payload)) => Queued::Payload(payload.into()),
            Ok(OutboxPayload::Erased) => Queued::Erased,
            Ok(OutboxPayload::NoRow) => Queued::Missing,
            Err(error) => {
                self.error.replace(Some(error));
                Queued::Missing
            }
        }
    }
}

/// Feeds the conversation with a contact and stores its writes.
///
/// Errors: the store's, or those of loading the conversation. The batch must then fail.
pub(crate) fn feed<T>(
    engine: &mut State,
    row: ContactRowId,
    input: impl FnOnce(&mut Conversation, &mut Context<'_>) -> T,
) -> Result<T, Refusal> {
    let result = feed_only(engine, row, input)?;
    drain(engine, row)?;
    Ok(result)
}

/// Feeds the conversation with a contact. Its writes wait for [`drain`].
pub(crate) fn feed_only<T>(
    engine: &mut State,
    row: ContactRowId,
    input: impl FnOnce(&mut Conversation, &mut Context<'_>) -> T,
) -> Result<T, Refusal> {
    load(engine, row)?;
    let now = Time(engine.batch.clock.now_ms());
    let serving = engine.peers.serving(row);
    let peer_state = engine.peers.get_mut(&row).ok_or_else(no_slot)?;
    let certificate = peer_state.certificate()?;
    let history = StoredHistory {
        store: &engine.batch.store,
        error: RefCell::new(None),
    };
    let mut context = Context {
        now,
        rng: &mut engine.batch.rng,
        own: &engine.batch.identity,
        own_id: engine.batch.own_id,
        peer: &certificate,
        peer_id: peer_state.contact.peer_id,
        session: serving.and_then(|link| engine.sessions.epochs_mut(link.id)),
        history: &history,
    };
    let conversation = peer_state.conversation.as_mut().ok_or_else(no_slot)?;
    let before = *conversation.counters();
    let result = input(conversation, &mut context);
    count(&engine.batch.counters, &before, conversation.counters());
    if let Some(error) = history.error.into_inner() {
        return Err(error.into());
    }
    Ok(result)
}

/// Feeds a conversation as [`feed`] does, and fails the batch on an error.
pub(crate) fn feed_or_fail<T>(
    engine: &mut State,
    row: ContactRowId,
    input: impl FnOnce(&mut Conversation, &mut Context<'_>) -> T,
) -> Option<T> {
    match feed(engine, row, input) {
        Ok(result) => Some(result),
        Err(refusal) => {
            engine.batch.fail(refusal);
            None
        }
    }
}

/// Loads the conversation from the store unless it is in memory.
fn load(engine: &mut State, row: ContactRowId) -> Result<(), Refusal> {
    let limits = delivery_limits(engine);
    let peer_state = engine.peers.get_mut(&row).ok_or_else(no_slot)?;
    if peer_state.conversation.is_some() {
        return Ok(());
    }
    let saved = engine.batch.store.saved_conversation(row)?;
    peer_state.conversation = Some(Conversation::new(limits, saved));
    // A new session states its places in its own `begin_talk`.
    match engine
        .peers
        .serving(row)
        .filter(|link| engine.sessions.has_begun(link.id))
    {
        Some(link) => talk_on(engine, row, &link),
        None => Ok(()),
    }
}

/// Returns the limits of a conversation.
fn delivery_limits(engine: &State) -> Limits {
    Limits {
        max_outbox: engine.batch.limits.max_outbox as usize,
        ..Limits::default()
    }
}

/// Returns a contact's conversation, loaded from the store if necessary.
pub(crate) fn conversation(
    engine: &mut State,
    row: ContactRowId,
) -> Result<&Conversation, Refusal> {
    load(engine, row)?;
    let peer_state = engine.peers.get(&row).ok_or_else(no_slot)?;
    peer_state.conversation.as_ref().ok_or_else(no_slot)
}

/// Stores all writes and queues all actions of a conversation.
pub(crate) fn drain(engine: &mut State, row: ContactRowId) -> Result<(), Refusal> {
    while let Some(write) = machine(engine, row).and_then(Conversation::poll_write) {
        apply(engine, row, write)?;
    }
    while let Some(action) = machine(engine, row).and_then(Conversation::poll_action) {
        engine
            .batch
            .steps
            .push(match (action, engine.conversations.answering) {
                (Action::Acknowledge(acks), Some(id)) => Step::Acknowledge(row, id, acks),
                (action, _) => Step::Act(row, action),
            });
    }
    set_timer(engine, row);
    Ok(())
}

fn machine(engine: &mut State, row: ContactRowId) -> Option<&mut Conversation> {
    engine.peers.get_mut(&row)?.conversation.as_mut()
}

fn set_timer(engine: &mut State, row: ContactRowId) {
    let Some(peer_state) = engine.peers.get_mut(&row) else {
        return;
    };
    let due = peer_state
        .conversation
        .as_ref()
        .and_then(Conversation::next_timeout)
        .map(|time| time.0);
    if peer_state.timer == due {
        return;
    }
    if let Some(old) = std::mem::replace(&mut peer_state.timer, due) {
        engine.conversations.timers.remove(&(old, row));
    }
    engine
        .conversations
        .timers
        .extend(due.map(|due| (due, row)));
}

pub(crate) fn on_timeout(engine: &mut State, row: ContactRowId) {
    if let Some(peer_state) = engine.peers.get_mut(&row) {
        peer_state.timer = None;
    }
    feed_or_fail(engine, row, |conversation, cx| conversation.on_timeout(cx));
}

/// Makes the timer due now for each conversation that may have timed work: those with queued
/// messages and those with a session. The next batch loads them.
pub(crate) fn wake_all(engine: &mut State) -> Result<(), StoreError> {
    let mut rows = engine.batch.store.rows_with_timers()?;
    let connected = engine
        .peers
        .values()
        .filter(|peer_state| !peer_state.links.is_empty());
    rows.extend(connected.map(|peer_state| peer_state.contact.row));
    let now = engine.batch.clock.now_ms();
    for row in rows {
        if let Some(peer_state) = engine.peers.get_mut(&row)
            && peer_state.timer.is_none()
        {
            peer_state.timer = Some(now);
            engine.conversations.timers.insert((now, row));
        }
    }
    Ok(())
}

fn apply(engine: &mut State, row: ContactRowId, write: Write) -> Result<(), Refusal> {
    match write {
        Write::NextSequence { next } => engine.conversations.dirty.sequence(row, next),
        Write::Incarnation(incarnation) => engine.conversations.dirty.incarnation(row, incarnation),
        Write::Place(place) => engine.conversations.dirty.place(row, place),
        Write::Following { incarnation } => engine.batch.store.put_following(row, incarnation)?,
        Write::PeerGrant(grant) => engine.batch.store.put_peer_grant(row, &grant)?,
        Write::IncarnationRemove { incarnation } => engine.delete_incarnation(row, incarnation)?,
        Write::Outbox { entry, payload } => put_in_outbox(engine, row, &entry, &payload)?,
        Write::OutboxRemove { id } => engine.batch.store.delete_outbox(&id)?,
        Write::State { id, state } => inbox::on_state(engine, row, id, state)?,
        Write::Deliver {
            id,
            incarnation,
            payload,
            hash,
            in_order: _,
        } => inbox::on_message(engine, Arrival::new(row, id, incarnation, hash), payload)?,
        Write::Hold {
            held,
            payload,
            hash,
        } => put_held(engine, row, &held, payload, &hash)?,
        Write::Release {
            id,
            incarnation,
            sequence,
            show,
        } => inbox::on_release(engine, row, id, incarnation, sequence, show)?,
        Write::Skip {
            id,
            incarnation,
            hash,
            ..
        } => inbox::on_skip(engine, Arrival::new(row, id, incarnation, hash))?,
        Write::Gap { missing, .. } => inbox::on_gap(engine, row, missing)?,
        Write::HistoryLost { missing } => conflicts::on_history_lost(engine, row, missing)?,
        Write::Conflict(conflict) => conflicts::on_conflict(engine, row, conflict)?,
    }
    Ok(())
}

fn put_held(
    engine: &State,
    row: ContactRowId,
    held: &SavedHeld,
    payload: Option<Payload>,
    hash: &ContentHash,
) -> Result<(), StoreError> {
    let payload = payload.map(|payload| payload.encode());
    let store = &engine.batch.store;
    store.put_held(row, held, hash, payload.as_deref())
}

fn put_in_outbox(
    engine: &mut State,
    row: ContactRowId,
    entry: &SavedOutbox,
    payload: &Payload,
) -> Result<(), StoreError> {
    if entry.replaced.is_some() {
        // The message must not leave any more, if it was sealed in this batch.
        let is_of = |step: &Step| matches!(step, Step::Act(_, Action::Transmit { id, .. }) if *id == Some(entry.id));
        engine.batch.steps.retain(|step| !is_of(step));
    }
    // The content is in the message's own row already.
    let kept = match payload.body {
        Body::Content(_) => None,
        _ => Some(payload.encode()),
    };
    engine.batch.store.put_outbox(row, entry, kept.as_deref())
}

/// Performs an action whose writes are on disk. A failure here is repaired by a retransmission.
pub(crate) fn act(engine: &mut State, row: ContactRowId, action: Action) {
    match action {
        Action::State(places) => {
            let serving = engine.peers.serving(row);
            let progress = serving.and_then(|link| {
                let progress = engine.sessions.progress_mut(link.id)?;
                Some((link.id, progress))
            });
            if let Some((id, progress)) = progress {
                progress.stated = places.incarnation;
                let frame = Box::new(Message::Places(Box::new(places)));
                engine.batch.effects.push_back(Effect::Send(id, frame));
            }
        }
        Action::Transmit {
            session,
            grant,
            sealed,
            ..
        } => {
            let grant = grant.unwrap_or_default();
            let envelope = Envelope { grant, sealed };
            send_envelope(engine, row, &session, envelope);
        }
        Action::Acknowledge(acks) => send_frame(engine, row, acks_frame(acks)),
        Action::RefuseEpoch { incarnation, epoch } => {
            send_frame(engine, row, Message::EpochRefused { incarnation, epoch });
        }
        Action::Notice(notice) => {
            if let Some(peer_state) = engine.peers.get(&row) {
                let contact = peer_state.contact.peer_id;
                let notice = engine.notice_of(contact, NoticeKind::Said(notice));
                engine.batch.effects.push_back(Effect::Notice(notice));
            }
        }
    }
}

/// Sends acknowledgements on the session that brought the messages, or else on the serving one.
pub(crate) fn acknowledge(engine: &mut State, row: ContactRowId, id: SessionId, acks: Vec<Ack>) {
    if engine.sessions.stated_in(id) != 0 {
        let effect = Effect::Send(id, Box::new(acks_frame(acks)));
        engine.batch.effects.push_back(effect);
    } else {
        send_frame(engine, row, acks_frame(acks));
    }
}

/// Sends an envelope on the session for which it was sealed. Without that session it is dropped, as every
/// other session takes the message again.
fn send_envelope(
    engine: &mut State,
    row: ContactRowId,
    session: &[u8; SESSION_NAME_BYTES],
    envelope: Envelope,
) {
    let link = engine.peers.serving(row);
    if link.is_some_and(|link| link.name_in_grants == *session) {
        send_frame(engine, row, Message::Envelope(envelope));
    }
}

fn send_frame(engine: &mut State, row: ContactRowId, message: Message) {
    let link = engine.peers.serving(row);
    if let Some(link) = link.filter(|link| engine.sessions.stated_in(link.id) != 0) {
        let effect = Effect::Send(link.id, Box::new(message));
        engine.batch.effects.push_back(effect);
    }
}

/// Erases the keys of the epochs that a contact opened in a session that is over.
pub(crate) fn end_epochs(engine: &mut State, row: ContactRowId, link: &Session) {
    if let Some(conversation) = machine(engine, row) {
        conversation.session_over(&link.name_in_grants);
    }
}

/// Adds the growth of a conversation's counters since `before`.
fn count(counters: &Counters, before: &m2_delivery::Counters, now: &m2_delivery::Counters) {
    counters.add("ACK_UNKNOWN", now.unknown_acks - before.unknown_acks);
    counters.add("ACK_EARLY", now.early_acks - before.early_acks);
    counters.add("ENVELOPE_UNOPENED", now.unopened - before.unopened);
    counters.add("ENVELOPE_FORGED", now.forged - before.forged);
    counters.add(
        "DERIVATION_WASTED",
        now.wasted_derivations - before.wasted_derivations,
    );
    counters.add(
        "EPOCH_REFUSAL_IGNORED",
        now.ignored_refusals - before.ignored_refusals,
    );
    counters.add(
        "GRANT_UNWANTED",
        now.unwanted_grants - before.unwanted_grants,
    );
    counters.add("PLACES_AHEAD", now.withheld - before.withheld);
    counters.add("INCARNATION_RENEWED", now.renewed - before.renewed);
    counters.add("HELD_TOO_MANY", now.released_early - before.released_early);
    counters.add("MESSAGE_REPEATED", now.duplicates - before.duplicates);
    counters.add(
        "NOTICE_UNKNOWN",
        now.unknown_notices - before.unknown_notices,
    );
    counters.add(
        "NOTICE_DROPPED",
        now.dropped_notices - before.dropped_notices,
    );
}

fn acks_frame(acks: Vec<Ack>) -> Message {
    let acks = acks.into_iter().map(|ack| m2_wire::Ack {
        message_id: ack.id.0,
        content_hash: ack.hash.0,
    });
    Message::Acks(acks.collect())
}

fn no_slot() -> Refusal {
    Refusal::new(m2_proto::reason::Reason::ContactUnknown)
}

/// Continues the conversation in another session, or after the conversation was loaded again.
pub(crate) fn talk_on(
    engine: &mut State,
    row: ContactRowId,
    link: &Arc<Session>,
) -> Result<(), Refusal> {
    if is_giving_up(engine, row)? {
        return Ok(());
    }
    engine.sessions.note_begun(link.id);
    let (path, stated) = (link.path, engine.sessions.places_in(link.id));
    let own = engine.sessions.stated_in(link.id);
    feed(engine, row, |conversation, cx| {
        if own != 0 && own == conversation.incarnation() {
            conversation.resumed(cx, path);
        } else {
            conversation.connected(cx, path);
        }
        if let Some(stated) = &stated {
            conversation.on_places_again(cx, stated);
        }
    })
}

/// Returns whether messages queued before a contact's removal are still being given up.
pub(crate) fn is_giving_up(engine: &State, row: ContactRowId) -> Result<bool, Refusal> {
    let erasure = engine.batch.store.erasure_of(row)?;
    Ok(erasure.is_some_and(|erasure| erasure.is_giving_up()))
}
