//! Applies received messages: stores rows, appends events, and updates the states of sent messages.

use crate::effect::{Effect, LiveEvent};
use crate::failure::Failure;
use crate::reactions;
use crate::state::State;
use bytes::Bytes;
use m2_crypto::PeerId;
use m2_delivery::{
    Body, Content, ContentHash, GiveUp, MessageId, MessageState as Delivery, Payload,
};
use m2_store::{
    ContactRowId, EventKind, EventRow, Gone, MessageHead, MessageKind, MessageRow, MessageRowId,
    MessageState, NewEvent, ShownMessage, StoreError,
};

/// Identifies a received message.
#[derive(Clone, Copy)]
pub(super) struct Arrival {
    /// The contact's row.
    pub row: ContactRowId,
    /// The message's id.
    pub id: MessageId,
    /// The sender's incarnation.
    pub incarnation: u64,
    /// The hash that acknowledges the message.
    pub hash: ContentHash,
}

impl Arrival {
    pub(super) const fn new(
        row: ContactRowId,
        id: MessageId,
        incarnation: u64,
        hash: ContentHash,
    ) -> Self {
        Self {
            row,
            id,
            incarnation,
            hash,
        }
    }
}

/// Stores a message that is next in order, and applies its effect.
pub(crate) fn on_message(
    engine: &mut State,
    from: Arrival,
    payload: Payload,
) -> Result<(), StoreError> {
    let Arrival {
        row,
        id,
        incarnation,
        hash,
    } = from;
    let kind = kind_of(&payload.body);
    let retracted =
        kind == MessageKind::Content && engine.batch.store.take_tombstone(&id.0, row)?;
    let now = engine.batch.now_ms();
    let expires_ms = end_of(engine, row, &payload, now);
    let expired = expires_ms.is_some_and(|end| end <= now);
    let gone = match (retracted, expired) {
        (true, _) => Gone::Retracted,
        (false, true) => Gone::Expired,
        (false, false) => Gone::No,
    };
    let shown = kind == MessageKind::Content && gone == Gone::No;
    let (media_type, content) = match &payload.body {
        Body::Content(content) if shown => stored_content(content),
        _ => (String::new(), None),
    };
    let (reply_to, thread) = match &payload.body {
        Body::Content(content) if shown => about(content),
        _ => (None, None),
    };
    let mut message = MessageRow {
        row: MessageRowId::default(),
        id: id.0,
        contact: row,
        kind,
        own: false,
        incarnation,
        state: MessageState::Delivered,
        author_ms: payload.sent.0,
        stored_ms: engine.batch.clock.order_ms(),
        hash: hash.0,
        media_type,
        content,
        gone,
        expires_ms: expires_ms.filter(|_| shown),
        reply_to,
        thread,
    };
    message.row = engine.batch.store.insert_message(&message)?;
    if shown {
        message_event(engine, message)?;
        engine.maintenance.note_expiry(expires_ms);
        engine.maintenance.note_text(now);
    }
    if !shown {
        note_hidden(engine, row)?;
    }
    follow(engine, row, payload.body)
}

/// Returns when a contact's message expires, in local Unix milliseconds. The sender's time is
/// corrected by the difference of the clocks, and the message never lives longer than its time
/// to live from now.
fn end_of(engine: &State, row: ContactRowId, payload: &Payload, now: u64) -> Option<u64> {
    let theirs = payload.expires()?.0;
    let skew = engine.skew_of(row).unwrap_or(0);
    let end = theirs.saturating_add_signed(skew.saturating_neg());
    let most = now.saturating_add(u64::from(payload.ttl_s) * 1_000);
    Some(end.min(most))
}

/// Applies an edit, a retraction, a read receipt or a reaction.
fn follow(engine: &mut State, row: ContactRowId, body: Body) -> Result<(), StoreError> {
    match body {
        Body::Edit { target, content } => on_edit(engine, row, &target, &content),
        Body::Retract { target } => on_retract(engine, row, &target),
        Body::Read { targets } => targets
            .iter()
            .try_for_each(|target| on_read(engine, row, target)),
        Body::Reaction { target, text } => reactions::on_reaction(engine, row, target, &text),
        Body::Unknown => {
            // A newer version of the contact's daemon sent it.
            engine.batch.counters.count("BODY_UNKNOWN");
            Ok(())
        }
        Body::Content(_) | Body::Skip => Ok(()),
    }
}

fn on_edit(
    engine: &mut State,
    row: ContactRowId,
    id: &MessageId,
    new: &Content,
) -> Result<(), StoreError> {
    // Only the author may edit: the message must have been received from this contact.
    let Some(head) = engine.batch.store.message_head(&id.0)? else {
        return Ok(());
    };
    if !may_change(engine, row, &head) {
        return Ok(());
    }
    let (media_type, content) = stored_content(new);
    let content = content.unwrap_or_default();
    engine
        .batch
        .store
        .edit_message(head.row, &media_type, &content)?;
    engine.maintenance.note_content_changed();
    engine
        .batch
        .event(EventKind::MessageEdited, row, Some(head.row), 0)
}

fn on_retract(engine: &mut State, row: ContactRowId, id: &MessageId) -> Result<(), StoreError> {
    let Some(head) = engine.batch.store.message_head(&id.0)? else {
        return engine.batch.store.put_tombstone(&id.0, row);
    };
    if !may_change(engine, row, &head) {
        return Ok(());
    }
    engine
        .batch
        .store
        .erase_message(head.row, Gone::Retracted)?;
    let now = engine.batch.now_ms();
    engine.maintenance.note_freed(now);
    engine
        .batch
        .event(EventKind::MessageRetracted, row, Some(head.row), 0)
}

/// Returns whether a contact may edit or retract a message: it must be its own and have content
/// left.
fn may_change(engine: &State, row: ContactRowId, head: &MessageHead) -> bool {
    let theirs = head.contact == row && !head.own;
    if !theirs {
        engine.batch.counters.count("MESSAGE_NOT_THEIRS");
    }
    theirs && !head.gone && head.kind == MessageKind::Content as i64
}

fn on_read(engine: &mut State, row: ContactRowId, id: &MessageId) -> Result<(), StoreError> {
    let Some(head) = engine.batch.store.message_head(&id.0)? else {
        return Ok(());
    };
    if head.contact != row || !head.own {
        engine.batch.counters.count("MESSAGE_NOT_THEIRS");
    }
    if head.contact != row || !head.own || head.state != MessageState::Delivered {
        return Ok(());
    }
    change_state(engine, row, &head, *id, MessageState::Read, None)
}

/// Releases a held place whose turn has come.
pub(crate) fn on_release(
    engine: &mut State,
    row: ContactRowId,
    id: MessageId,
    incarnation: u64,
    sequence: u64,
    show: bool,
) -> Result<(), StoreError> {
    let held = engine.batch.store.take_held(row, incarnation, sequence)?;
    let Some((hash, payload)) = held else {
        // The message is committed already: only its place was held.
        return Ok(());
    };
    let from = Arrival {
        row,
        id,
        incarnation,
        hash,
    };
    if !show {
        return on_skip(engine, from);
    }
    let payload =
        Payload::parse(Bytes::from(payload)).map_err(|_| StoreError::Corrupt("held message"))?;
    on_message(engine, from, payload)
}

/// Records a message that its sender gave up. Only its id is kept.
pub(crate) fn on_skip(engine: &mut State, from: Arrival) -> Result<(), StoreError> {
    let Arrival {
        row,
        id,
        incarnation,
        hash,
    } = from;
    let now = engine.batch.now_ms();
    engine.batch.store.insert_message(&MessageRow {
        row: MessageRowId::default(),
        id: id.0,
        contact: row,
        kind: MessageKind::Skip,
        own: false,
        incarnation,
        state: MessageState::Delivered,
        author_ms: now,
        stored_ms: engine.batch.clock.order_ms(),
        hash: hash.0,
        media_type: String::new(),
        content: None,
        gone: Gone::No,
        expires_ms: None,
        reply_to: None,
        thread: None,
    })?;
    note_hidden(engine, row)
}

/// Reports a gap: missing messages were not waited for any longer.
pub(crate) fn on_gap(
    engine: &mut State,
    row: ContactRowId,
    missing: u64,
) -> Result<(), StoreError> {
    let missing = i64::try_from(missing).unwrap_or(i64::MAX);
    engine.batch.event(EventKind::Gap, row, None, missing)
}

/// Updates the state of a sent message.
pub(crate) fn on_state(
    engine: &mut State,
    row: ContactRowId,
    id: MessageId,
    state: Delivery,
) -> Result<(), StoreError> {
    // A delivered message's outbox row is removed by the next write.
    if state != Delivery::Delivered {
        engine.batch.store.set_outbox_state(&id, state)?;
    }
    let Some(head) = engine.batch.store.message_head(&id.0)? else {
        return Ok(());
    };
    let (state, failure) = match state {
        Delivery::Queued => (MessageState::Queued, None),
        Delivery::Sent(_) => (MessageState::Sent, None),
        Delivery::Deposited => (MessageState::Deposited, None),
        Delivery::Delivered => (MessageState::Delivered, None),
        Delivery::GivenUp(GiveUp::Expired) => (MessageState::Expired, None),
        Delivery::GivenUp(GiveUp::Retracted) => (MessageState::Failed, Some(Failure::Retracted)),
        Delivery::GivenUp(GiveUp::Earlier) => (MessageState::Failed, Some(Failure::GivenUp)),
        Delivery::GivenUp(GiveUp::ContactRemoved) => {
            (MessageState::Failed, Some(Failure::ContactRemoved))
        }
    };
    if head.state == state || head.state == MessageState::Read {
        return Ok(());
    }
    change_state(engine, row, &head, id, state, failure)
}

/// Stores a state and notifies watchers. Edits, retractions and receipts change without notice.
fn change_state(
    engine: &mut State,
    row: ContactRowId,
    head: &MessageHead,
    id: MessageId,
    state: MessageState,
    failure: Option<Failure>,
) -> Result<(), StoreError> {
    let number = failure.map_or(0, |failure| failure as i64);
    match failure {
        Some(_) => engine.batch.store.set_message_failed(head.row, number)?,
        None => engine.batch.store.set_message_state(head.row, state)?,
    }
    if head.kind != MessageKind::Content as i64 {
        return Ok(());
    }
    let detail = state.event_detail(number);
    state_event(engine, row, head.row, id, detail)
}

/// Appends the arrival of a message to the log. Streams get it from memory.
fn message_event(engine: &mut State, message: MessageRow) -> Result<(), StoreError> {
    let (contact, kind) = (message.contact, EventKind::MessageReceived);
    let Some(peer_state) = engine.peers.get(&contact) else {
        return engine.batch.event(kind, contact, Some(message.row), 0);
    };
    let (peer_id, name) = (peer_state.contact.peer_id, peer_state.contact.name.clone());
    let event = NewEvent {
        kind,
        contact,
        message: Some(message.row),
        detail: 0,
    };
    let time_ms = engine.batch.clock.order_ms();
    let seq = engine.batch.store.append_event(&event, time_ms)?;
    let live = EventRow {
        seq,
        time_ms,
        kind,
        peer_id,
        name,
        suggested_name: String::new(),
        detail: 0,
        message_id: Some(message.id),
        message: Some(shown(message, peer_id)),
    };
    let live = LiveEvent::Whole(Box::new(live));
    engine.batch.effect(Effect::Event(live));
    Ok(())
}

/// Appends a message's state to the log. The event has no content, so streams get it from
/// memory.
fn state_event(
    engine: &mut State,
    contact: ContactRowId,
    message: MessageRowId,
    id: MessageId,
    detail: i64,
) -> Result<(), StoreError> {
    let event = NewEvent {
        kind: EventKind::MessageState,
        contact,
        message: Some(message),
        detail,
    };
    let time_ms = engine.batch.clock.order_ms();
    let seq = engine.batch.store.append_event(&event, time_ms)?;
    let live = match engine.peers.get(&contact) {
        Some(peer_state) => LiveEvent::Whole(Box::new(EventRow {
            seq,
            time_ms,
            kind: event.kind,
            peer_id: peer_state.contact.peer_id,
            name: peer_state.contact.name.clone(),
            suggested_name: String::new(),
            detail,
            message_id: Some(id.0),
            message: None,
        })),
        None => LiveEvent::Stored(seq),
    };
    engine.batch.effect(Effect::Event(live));
    Ok(())
}

/// Returns a message that was just stored as front-ends see it.
fn shown(message: MessageRow, peer_id: PeerId) -> ShownMessage {
    ShownMessage {
        row: message.row,
        id: message.id,
        peer_id,
        own: message.own,
        state: message.state,
        failure: 0,
        author_ms: message.author_ms,
        stored_ms: message.stored_ms,
        media_type: message.media_type,
        content: message.content,
        edited: false,
        gone: message.gone,
        expires_ms: message.expires_ms,
        reply_to: message.reply_to,
        thread: message.thread,
        reactions: Default::default(),
    }
}

/// Returns the kind of the row that holds a message with this body.
pub(crate) const fn kind_of(body: &Body) -> MessageKind {
    match body {
        Body::Content(_) => MessageKind::Content,
        Body::Edit { .. } => MessageKind::Edit,
        Body::Retract { .. } => MessageKind::Retract,
        Body::Read { .. } => MessageKind::Read,
        Body::Skip => MessageKind::Skip,
        Body::Reaction { .. } => MessageKind::Reaction,
        Body::Unknown => MessageKind::Unknown,
    }
}

/// Returns the ids of the message to which content replies, and of the first message of its thread.
pub(crate) fn about(content: &Content) -> (Option<[u8; 16]>, Option<[u8; 16]>) {
    let id = |id: Option<MessageId>| id.map(|id| id.0);
    (id(content.reply_to()), id(content.thread()))
}

/// Returns media type and bytes as stored. Content declared as text that is not UTF-8 is stored as
/// bytes.
fn stored_content(content: &Content) -> (String, Option<Vec<u8>>) {
    let data = content.data();
    let is_text = content.media_type().is_empty();
    let media_type = if is_text && std::str::from_utf8(data).is_err() {
        "application/octet-stream"
    } else {
        content.media_type()
    };
    (media_type.to_owned(), Some(data.to_vec()))
}

/// Counts a hidden message of a contact, and from time to time deletes the oldest, as their number is
/// bounded.
fn note_hidden(engine: &mut State, row: ContactRowId) -> Result<(), StoreError> {
    match engine.maintenance.note_hidden(row) {
        Some(bound) => engine.batch.store.bound_silent(row, bound),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
