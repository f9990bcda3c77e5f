//! Requests of front-ends: new messages, edits, retractions, reactions and read receipts.

use crate::refusal::Refusal;
use crate::reply::Reply;
use crate::state::State;
use crate::{call, conversation, dialling, inbox, mail, reactions, upkeep};
use m2_core::ContactState;
use m2_crypto::label;
use m2_delivery::{Body, Content, Draft, GiveUp, MessageId, Notice, SendRefused};
use m2_proto::reason::Reason;
use m2_store::{
    ContactRowId, Gone, MessageHead, MessageKind, MessageRow, MessageRowId, MessageState,
    Remembered,
};
use rand_core::Rng;

/// A message to send.
#[derive(Debug, Clone)]
pub struct NewMessage {
    /// The contact's name, its peer id, or a prefix of that.
    pub contact: String,
    /// The message's content.
    pub content: Content,
    /// Time to live in seconds; 0 for no limit.
    pub ttl_s: u32,
    /// The front-end that sends, as the scope of the idempotency key.
    pub caller: String,
    /// The idempotency key; empty for none given.
    pub key: String,
}

/// The result of a send request.
#[derive(Debug, Clone, Copy)]
pub struct SentMessage {
    /// The message's id.
    pub id: [u8; 16],
    /// The message's current state.
    pub state: MessageState,
}

/// A request about a message.
pub enum MessageRequest {
    /// Queue a message for a contact.
    Send(NewMessage, Reply<SentMessage>),
    /// Replace the content of a sent message on both sides.
    Edit([u8; 16], Content, Reply<()>),
    /// Delete a sent message on both sides.
    Retract([u8; 16], Reply<()>),
    /// Mark messages as read.
    MarkRead(Vec<[u8; 16]>, Reply<()>),
    /// Set this side's reaction to a message; an empty text removes it.
    React([u8; 16], String, Reply<()>),
    /// Tell a contact, by its name or its peer id, what this side does. The answer is whether the notice was sent.
    Notify(String, Notice, Reply<bool>),
    /// Index some more messages for search. The answer is whether more remain.
    Index(Reply<bool>),
}

/// Handles a request about a message.
pub(crate) fn handle(engine: &mut State, request: MessageRequest) {
    match request {
        MessageRequest::Send(new, reply) => call::run(engine, reply, |engine| send(engine, &new)),
        MessageRequest::Edit(id, content, reply) => {
            call::run(engine, reply, |engine| edit(engine, id, &content));
        }
        MessageRequest::Retract(id, reply) => {
            call::run(engine, reply, |engine| retract(engine, id))
        }
        MessageRequest::MarkRead(ids, reply) => {
            call::run(engine, reply, |engine| mark_read(engine, &ids))
        }
        MessageRequest::React(id, text, reply) => {
            call::run(engine, reply, |engine| react(engine, id, &text))
        }
        MessageRequest::Notify(contact, notice, reply) => {
            call::run(engine, reply, |engine| notify(engine, &contact, notice))
        }
        MessageRequest::Index(reply) => call::run(engine, reply, upkeep::index_step),
    }
}

/// Queues a message for a contact.
pub(crate) fn send(engine: &mut State, new: &NewMessage) -> Result<SentMessage, Refusal> {
    let row = resolve_contact(engine, &new.contact)?;
    if let Some(sent) = sent_before(engine, row, new)? {
        return Ok(sent);
    }
    require_known(engine, row, &new.content)?;
    engine.batch.require_disk()?;
    require_room(engine, row)?;
    let (id, message) = submit(engine, row, Body::Content(new.content.clone()), new.ttl_s)?;
    if !new.key.is_empty() {
        let remembered = Remembered {
            body: body_hash(row, new),
            message,
        };
        let now = engine.batch.now_ms();
        engine
            .batch
            .store
            .remember(&new.caller, &new.key, &remembered, now)?;
    }
    Ok(SentMessage {
        id: id.0,
        state: MessageState::Queued,
    })
}

/// Replaces the content of a sent message on both sides.
pub(crate) fn edit(engine: &mut State, id: [u8; 16], content: &Content) -> Result<(), Refusal> {
    let head = own_message(engine, id)?;
    if head.gone {
        return Err(Refusal::new(Reason::MessageUnknown));
    }
    require_contact(engine, head.contact)?;
    engine.batch.require_disk()?;
    require_room(engine, head.contact)?;
    let body = Body::Edit {
        target: MessageId(id),
        content: content.clone(),
    };
    submit(engine, head.contact, body, 0)?;
    engine.batch.store.keep_payload(&MessageId(id))?;
    engine
        .batch
        .store
        .edit_message(head.row, content.media_type(), content.data())?;
    Ok(())
}

/// Deletes a sent message on both sides. Repeating it has no effect.
pub(crate) fn retract(engine: &mut State, id: [u8; 16]) -> Result<(), Refusal> {
    let head = own_message(engine, id)?;
    if head.gone {
        return Ok(());
    }
    let target = MessageId(id);
    // A message that was never sent needs no retraction. A SKIP fills its place.
    let never_left = head.state == MessageState::Queued;
    let is_told = !never_left && engine.peers.is_contact(head.contact);
    if is_told {
        require_room(engine, head.contact)?;
    }
    conversation::feed(engine, head.contact, |conversation, cx| {
        conversation.give_up(cx, target, GiveUp::Retracted);
    })?;
    if is_told {
        submit(engine, head.contact, Body::Retract { target }, 0)?;
    }
    engine
        .batch
        .store
        .erase_message(head.row, Gone::Retracted)?;
    let now = engine.batch.now_ms();
    engine.maintenance.note_freed(now);
    Ok(())
}

/// Sets this side's reaction to a message; an empty text removes it.
fn react(engine: &mut State, id: [u8; 16], text: &str) -> Result<(), Refusal> {
    let head = engine.batch.store.message_head(&id)?;
    let head = head.filter(reactions::can_have);
    let head = head.ok_or_else(|| Refusal::new(Reason::MessageUnknown))?;
    require_contact(engine, head.contact)?;
    engine.batch.require_disk()?;
    require_room(engine, head.contact)?;
    if !engine.batch.store.set_reaction(head.row, true, text)? {
        return Ok(());
    }
    let body = Body::Reaction {
        target: MessageId(id),
        text: text.to_owned(),
    };
    submit(engine, head.contact, body, 0)?;
    engine.maintenance.note_content_changed();
    Ok(())
}

/// Sends a notice to a contact if a session is up. Nothing is stored, except that a new epoch may open.
fn notify(engine: &mut State, contact: &str, notice: Notice) -> Result<bool, Refusal> {
    let row = resolve_contact(engine, contact)?;
    let serving = engine.peers.serving(row);
    // A session whose peer does not answer would deliver the notice when it is over.
    let answers = serving.is_some_and(|link| !engine.sessions.is_in_doubt(link.id));
    if !answers || engine.batch.require_disk().is_err() {
        return Ok(false);
    }
    conversation::feed(engine, row, |conversation, cx| {
        conversation.notify(cx, notice)
    })
}

/// Marks messages as read, and sends read receipts to their authors.
fn mark_read(engine: &mut State, ids: &[[u8; 16]]) -> Result<(), Refusal> {
    let mut targets: std::collections::BTreeMap<ContactRowId, Vec<MessageId>> = Default::default();
    // All ids are looked up before anything is written, so an unknown one leaves no partial
    // change.
    let mut heads = Vec::with_capacity(ids.len());
    for id in ids {
        let head = engine
            .batch
            .store
            .message_head(id)?
            .filter(|head| head.kind == MessageKind::Content as i64 && !head.own)
            .ok_or_else(|| Refusal::new(Reason::MessageUnknown))?;
        if head.state != MessageState::Read && engine.peers.is_contact(head.contact) {
            require_room(engine, head.contact)?;
        }
        heads.push((id, head));
    }
    for (id, head) in heads {
        if head.state != MessageState::Read {
            engine
                .batch
                .store
                .set_message_state(head.row, MessageState::Read)?;
            targets
                .entry(head.contact)
                .or_default()
                .push(MessageId(*id));
        }
    }
    for (row, targets) in targets {
        if engine.peers.is_contact(row) {
            submit(engine, row, Body::Read { targets }, 0)?;
        }
    }
    Ok(())
}

/// Checks that a contact's outbox has room for another message, before anything is written.
fn require_room(engine: &mut State, row: ContactRowId) -> Result<(), Refusal> {
    if conversation::conversation(engine, row)?.has_room() {
        Ok(())
    } else {
        Err(Refusal::new(Reason::OutboxFull))
    }
}

/// Checks that the messages to which new content refers are, or were, in the same conversation.
fn require_known(engine: &State, row: ContactRowId, content: &Content) -> Result<(), Refusal> {
    let store = &engine.batch.store;
    let is_here = |id: MessageId| -> Result<bool, Refusal> {
        let head = store.message_head(&id.0)?;
        let is_content = |head: MessageHead| head.kind == MessageKind::Content as i64;
        Ok(head.is_some_and(|head| head.contact == row && is_content(head)))
    };
    let replies = content.reply_to().map_or(Ok(true), is_here)?;
    // The first message of a thread may never have arrived here.
    let continues = |id: MessageId| -> Result<bool, Refusal> {
        Ok(is_here(id)? || store.has_thread(row, &id.0)?)
    };
    let continues = content.thread().map_or(Ok(true), continues)?;
    match replies && continues {
        true => Ok(()),
        false => Err(Refusal::new(Reason::MessageUnknown)),
    }
}

/// Stores a body as a message with a new id, and queues it for delivery.
fn submit(
    engine: &mut State,
    row: ContactRowId,
    body: Body,
    ttl_s: u32,
) -> Result<(MessageId, MessageRowId), Refusal> {
    let mut id = MessageId([0; 16]);
    engine.batch.rng.fill_bytes(&mut id.0);
    let (kind, media_type, content) = stored_parts(&body);
    let (reply_to, thread) = match &body {
        Body::Content(content) => inbox::about(content),
        _ => (None, None),
    };
    let draft = Draft { body, ttl_s };
    // The machine refuses before it writes. Its writes refer to the message's row.
    let sent = conversation::feed_only(engine, row, |conversation, cx| {
        conversation.send(cx, id, draft)
    })?;
    let hash = sent.map_err(refusal_of)?;
    let now = engine.batch.now_ms();
    let expires_ms = (ttl_s > 0).then(|| now.saturating_add(u64::from(ttl_s) * 1_000));
    let message = engine.batch.store.insert_message(&MessageRow {
        row: MessageRowId::default(),
        id: id.0,
        contact: row,
        kind,
        own: true,
        incarnation: 0,
        state: MessageState::Queued,
        author_ms: now,
        stored_ms: engine.batch.clock.order_ms(),
        hash: hash.0,
        media_type,
        content,
        gone: Gone::No,
        expires_ms,
        reply_to,
        thread,
    })?;
    conversation::drain(engine, row)?;
    engine.maintenance.note_expiry(expires_ms);
    engine.maintenance.note_text(now);
    mail::note_queued(engine, row);
    dialling::expedite(engine, row);
    Ok((id, message))
}

/// Returns the message that an earlier request with the same idempotency key sent.
fn sent_before(
    engine: &State,
    row: ContactRowId,
    new: &NewMessage,
) -> Result<Option<SentMessage>, Refusal> {
    if new.key.is_empty() {
        return Ok(None);
    }
    let found = engine
        .batch
        .store
        .remembered(&new.caller, &new.key, engine.batch.now_ms())?;
    let Some(remembered) = found else {
        return Ok(None);
    };
    if remembered.body != body_hash(row, new) {
        return Err(Refusal::new(Reason::KeyReused));
    }
    let id = engine.batch.store.message_id(remembered.message)?;
    let head = engine.batch.store.message_head(&id)?;
    let state = head.map_or(MessageState::Queued, |head| head.state);
    Ok(Some(SentMessage { id, state }))
}

fn own_message(engine: &State, id: [u8; 16]) -> Result<MessageHead, Refusal> {
    let head = engine
        .batch
        .store
        .message_head(&id)?
        .filter(|head| head.kind == MessageKind::Content as i64)
        .ok_or_else(|| Refusal::new(Reason::MessageUnknown))?;
    if head.own {
        Ok(head)
    } else {
        Err(Refusal::new(Reason::NotAuthor))
    }
}

/// Returns the row of a contact that messages can be sent to.
fn resolve_contact(engine: &State, name: &str) -> Result<ContactRowId, Refusal> {
    let row = engine.peers.resolve(name)?;
    require_contact(engine, row)?;
    Ok(row)
}

fn require_contact(engine: &State, row: ContactRowId) -> Result<(), Refusal> {
    if engine.peers.is_contact(row) {
        return Ok(());
    }
    let state = engine.peers.get(&row).map(|peer| peer.contact.state);
    Err(match state {
        Some(ContactState::Blocked) => Refusal::because(
            Reason::NotAContact,
            "You blocked this peer, so nothing is sent to it. Remove it, which ends the block, and become contacts \
             again with an invitation.",
        ),
        _ => Refusal::new(Reason::NotAContact),
    })
}

/// Hashes the fields in which two requests with one idempotency key must agree.
fn body_hash(row: ContactRowId, new: &NewMessage) -> [u8; 32] {
    let (row, ttl_s) = (row.number().to_be_bytes(), new.ttl_s.to_be_bytes());
    let content = &new.content;
    let mut fields: Vec<&[u8]> = vec![
        &row,
        content.media_type().as_bytes(),
        content.data(),
        &ttl_s,
    ];
    let about = [content.reply_to(), content.thread()];
    let about = about.map(|id| id.map(|id| id.0).unwrap_or_default());
    // Without them, the hash is that of requests before there were replies.
    if about != [[0; 16]; 2] {
        fields.extend(about.iter().map(<[u8; 16]>::as_slice));
    }
    label::hash("idempotent request", &fields)
}

/// Returns the kind of a body, and the media type and bytes that its row holds.
fn stored_parts(body: &Body) -> (MessageKind, String, Option<Vec<u8>>) {
    let (media_type, content) = match body {
        Body::Content(content) => {
            let media_type = content.media_type().to_owned();
            (media_type, Some(content.data().to_vec()))
        }
        _ => (String::new(), None),
    };
    (inbox::kind_of(body), media_type, content)
}

fn refusal_of(refused: SendRefused) -> Refusal {
    match refused {
        SendRefused::OutboxFull => Refusal::new(Reason::OutboxFull),
        SendRefused::Draft(error) => Refusal::argument("content", "", format!("{error}.")),
        SendRefused::IdInUse | SendRefused::SequenceSpent => Refusal::new(Reason::Internal),
    }
}
