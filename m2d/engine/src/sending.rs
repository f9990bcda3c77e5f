//! Requests of front-ends: new messages, edits, retractions and read receipts.

use super::Engine;
use super::input::Reply;
use crate::refusal::Refusal;
use m2_core::ContactState;
use m2_crypto::label;
use m2_delivery::{Body, Content, Draft, GiveUp, MessageId, SendRefused};
use m2_proto::reason::Reason;
use m2_store::{Gone, MessageHead, MessageKind, MessageRow, MessageState, Remembered};
use rand_core::Rng;

/// Why a message failed. The values are those of the database column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i64)]
pub enum Failure {
    /// The user retracted it before it was delivered.
    Retracted = 1,
    /// The contact was removed.
    ContactRemoved = 2,
}

impl Failure {
    /// Returns the stable word for a column's value; empty for an unknown one.
    pub const fn text(number: i64) -> &'static str {
        match number {
            1 => "RETRACTED",
            2 => "CONTACT_REMOVED",
            _ => "",
        }
    }
}

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
    /// Index some more messages for search. The answer is whether more remain.
    Index(Reply<bool>),
}

impl Engine {
    /// Handles a request about a message.
    pub(super) fn on_message_request(&mut self, request: MessageRequest) {
        match request {
            MessageRequest::Send(new, reply) => self.run(reply, |it| it.send(&new)),
            MessageRequest::Edit(id, content, reply) => {
                self.run(reply, |it| it.edit(id, &content));
            }
            MessageRequest::Retract(id, reply) => self.run(reply, |it| it.retract(id)),
            MessageRequest::MarkRead(ids, reply) => self.run(reply, |it| it.mark_read(&ids)),
            MessageRequest::Index(reply) => self.run(reply, Self::index_step),
        }
    }

    /// Queues a message for a contact.
    pub(crate) fn send(&mut self, new: &NewMessage) -> Result<SentMessage, Refusal> {
        let row = self.resolve_contact(&new.contact)?;
        if let Some(sent) = self.sent_before(row, new)? {
            return Ok(sent);
        }
        self.require_disk()?;
        self.require_room(row)?;
        let (id, message) = self.submit(row, Body::Content(new.content.clone()), new.ttl_s)?;
        if !new.key.is_empty() {
            let remembered = Remembered {
                body: body_hash(row, new),
                message,
            };
            let now = self.now_ms();
            self.store
                .remember(&new.caller, &new.key, &remembered, now)?;
        }
        Ok(SentMessage {
            id: id.0,
            state: MessageState::Queued,
        })
    }

    /// Replaces the content of a sent message on both sides.
    pub(crate) fn edit(&mut self, id: [u8; 16], content: &Content) -> Result<(), Refusal> {
        let head = self.own_message(id)?;
        if head.gone {
            return Err(Refusal::new(Reason::MessageUnknown));
        }
        self.require_contact(head.contact)?;
        self.require_disk()?;
        self.require_room(head.contact)?;
        let body = Body::Edit {
            target: MessageId(id),
            content: content.clone(),
        };
        self.submit(head.contact, body, 0)?;
        self.store.keep_payload(&MessageId(id))?;
        self.store
            .edit_message(head.row, content.media_type(), content.data())?;
        Ok(())
    }

    /// Deletes a sent message on both sides. Repeating it has no effect.
    pub(crate) fn retract(&mut self, id: [u8; 16]) -> Result<(), Refusal> {
        let head = self.own_message(id)?;
        if head.gone {
            return Ok(());
        }
        let target = MessageId(id);
        // A message that was never sent needs no retraction. A SKIP fills its place.
        let never_left = head.state == MessageState::Queued;
        let is_told = !never_left && self.is_contact(head.contact);
        if is_told {
            self.require_room(head.contact)?;
        }
        self.with_conversation(head.contact, |conversation, cx| {
            conversation.give_up(cx, target, GiveUp::Retracted);
        })?;
        if is_told {
            self.submit(head.contact, Body::Retract { target }, 0)?;
        }
        self.store.erase_message(head.row, Gone::Retracted)?;
        let now = self.now_ms();
        self.maintenance.note_freed(now);
        Ok(())
    }

    /// Marks messages as read, and sends read receipts to their authors.
    pub(crate) fn mark_read(&mut self, ids: &[[u8; 16]]) -> Result<(), Refusal> {
        let mut targets: std::collections::BTreeMap<i64, Vec<MessageId>> = Default::default();
        // All ids are looked up before anything is written, so an unknown one leaves no partial
        // change.
        let mut heads = Vec::with_capacity(ids.len());
        for id in ids {
            let head = self
                .store
                .message_head(id)?
                .filter(|head| head.kind == MessageKind::Content as i64 && !head.own)
                .ok_or_else(|| Refusal::new(Reason::MessageUnknown))?;
            if head.state != MessageState::Read && self.is_contact(head.contact) {
                self.require_room(head.contact)?;
            }
            heads.push((id, head));
        }
        for (id, head) in heads {
            if head.state != MessageState::Read {
                self.store.set_message_state(head.row, MessageState::Read)?;
                targets
                    .entry(head.contact)
                    .or_default()
                    .push(MessageId(*id));
            }
        }
        for (row, targets) in targets {
            if self.is_contact(row) {
                self.submit(row, Body::Read { targets }, 0)?;
            }
        }
        Ok(())
    }

    /// Checks that a contact's outbox has room for another message, before anything is written.
    fn require_room(&mut self, row: i64) -> Result<(), Refusal> {
        if self.conversation(row)?.has_room() {
            Ok(())
        } else {
            Err(Refusal::new(Reason::OutboxFull))
        }
    }

    /// Stores a body as a message with a new id, and queues it for delivery.
    fn submit(&mut self, row: i64, body: Body, ttl_s: u32) -> Result<(MessageId, i64), Refusal> {
        let mut id = MessageId([0; 16]);
        self.rng.fill_bytes(&mut id.0);
        let (kind, media_type, content) = stored_parts(&body);
        let draft = Draft { body, ttl_s };
        // The machine refuses before it writes. Its writes refer to the message's row.
        let sent = self.feed(row, |conversation, cx| conversation.send(cx, id, draft))?;
        let hash = sent.map_err(refusal_of)?;
        let now = self.now_ms();
        let expires_ms = (ttl_s > 0).then(|| now.saturating_add(u64::from(ttl_s) * 1_000));
        let message = self.store.insert_message(&MessageRow {
            row: 0,
            id: id.0,
            contact: row,
            kind,
            own: true,
            incarnation: 0,
            state: MessageState::Queued,
            author_ms: now,
            stored_ms: self.clock.order_ms(),
            hash: hash.0,
            media_type,
            content,
            gone: Gone::No,
            expires_ms,
        })?;
        self.drain(row)?;
        self.maintenance.note_expiry(expires_ms);
        self.maintenance.note_text(now);
        self.note_queued(row);
        self.expedite(row);
        Ok((id, message))
    }

    /// Returns the message that an earlier request with the same idempotency key sent.
    fn sent_before(&self, row: i64, new: &NewMessage) -> Result<Option<SentMessage>, Refusal> {
        if new.key.is_empty() {
            return Ok(None);
        }
        let found = self
            .store
            .remembered(&new.caller, &new.key, self.now_ms())?;
        let Some(remembered) = found else {
            return Ok(None);
        };
        if remembered.body != body_hash(row, new) {
            return Err(Refusal::new(Reason::KeyReused));
        }
        let id = self.store.message_id(remembered.message)?;
        let head = self.store.message_head(&id)?;
        let state = head.map_or(MessageState::Queued, |head| head.state);
        Ok(Some(SentMessage { id, state }))
    }

    fn own_message(&self, id: [u8; 16]) -> Result<MessageHead, Refusal> {
        let head = self
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
    fn resolve_contact(&self, name: &str) -> Result<i64, Refusal> {
        let row = self.resolve(name)?;
        self.require_contact(row)?;
        Ok(row)
    }

    fn require_contact(&self, row: i64) -> Result<(), Refusal> {
        if self.is_contact(row) {
            Ok(())
        } else {
            Err(Refusal::new(Reason::NotAContact))
        }
    }

    pub(super) fn is_contact(&self, row: i64) -> bool {
        self.peers
            .get(&row)
            .is_some_and(|peer_state| peer_state.contact.state == ContactState::Contact)
    }
}

/// Hashes the fields in which two requests with one idempotency key must agree.
fn body_hash(row: i64, new: &NewMessage) -> [u8; 32] {
    label::hash(
        "idempotent request",
        &[
            &row.to_be_bytes(),
            new.content.media_type().as_bytes(),
            new.content.data(),
            &new.ttl_s.to_be_bytes(),
        ],
    )
}

/// Returns the kind of a body, and the media type and bytes that its row holds.
fn stored_parts(body: &Body) -> (MessageKind, String, Option<Vec<u8>>) {
    let kind = match body {
        Body::Content(content) => {
            let media_type = content.media_type().to_owned();
            return (
                MessageKind::Content,
                media_type,
                Some(content.data().to_vec()),
            );
        }
        Body::Edit { .. } => MessageKind::Edit,
        Body::Retract { .. } => MessageKind::Retract,
        Body::Read { .. } => MessageKind::Read,
        Body::Skip => MessageKind::Skip,
    };
    (kind, String::new(), None)
}

fn refusal_of(refused: SendRefused) -> Refusal {
    match refused {
        SendRefused::OutboxFull => Refusal::new(Reason::OutboxFull),
        SendRefused::Draft(error) => Refusal::argument("content", "", format!("{error}.")),
        SendRefused::IdInUse | SendRefused::SequenceSpent | SendRefused::Seal(_) => {
            Refusal::new(Reason::Internal)
        }
    }
}
