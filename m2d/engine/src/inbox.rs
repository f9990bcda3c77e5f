//! Applies received messages: stores rows, appends events, and updates the states of sent messages.

use super::Engine;
use super::effect::{Effect, LiveEvent};
use super::sending::Failure;
use bytes::Bytes;
use m2_crypto::PeerId;
use m2_delivery::{
    Body, Content, ContentHash, GiveUp, MessageId, MessageState as Delivery, Payload,
};
use m2_store::{
    EventKind, EventRow, Gone, MessageHead, MessageKind, MessageRow, MessageState, NewEvent,
    ShownMessage, StoreError,
};

/// Identifies a received message.
#[derive(Clone, Copy)]
pub(super) struct Arrival {
    /// The contact's row.
    pub row: i64,
    /// The message's id.
    pub id: MessageId,
    /// The sender's incarnation.
    pub incarnation: u64,
    /// The hash that acknowledges the message.
    pub hash: ContentHash,
}

impl Arrival {
    pub(super) const fn new(row: i64, id: MessageId, incarnation: u64, hash: ContentHash) -> Self {
        Self {
            row,
            id,
            incarnation,
            hash,
        }
    }
}

impl Engine {
    /// Stores a message that is next in order, and applies its effect.
    pub(super) fn on_message(&mut self, from: Arrival, payload: Payload) -> Result<(), StoreError> {
        let Arrival {
            row,
            id,
            incarnation,
            hash,
        } = from;
        let kind = kind_of(&payload.body);
        let retracted = kind == MessageKind::Content && self.store.take_tombstone(&id.0, row)?;
        let now = self.now_ms();
        let expires_ms = self.end_of(row, &payload, now);
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
        let mut message = MessageRow {
            row: 0,
            id: id.0,
            contact: row,
            kind,
            own: false,
            incarnation,
            state: MessageState::Delivered,
            author_ms: payload.sent.0,
            stored_ms: self.clock.order_ms(),
            hash: hash.0,
            media_type,
            content,
            gone,
            expires_ms: expires_ms.filter(|_| shown),
        };
        message.row = self.store.insert_message(&message)?;
        if shown {
            self.message_event(message)?;
            self.maintenance.note_expiry(expires_ms);
            self.maintenance.note_text(now);
        }
        if !shown {
            self.note_hidden(row)?;
        }
        self.follow(row, payload.body)
    }

    /// Returns when a contact's message expires, in local Unix milliseconds. The sender's time is
    /// corrected by the difference of the clocks, and the message never lives longer than its time
    /// to live from now.
    fn end_of(&self, row: i64, payload: &Payload, now: u64) -> Option<u64> {
        let theirs = payload.expires()?.0;
        let skew = self.skew_of(row).unwrap_or(0);
        let end = theirs.saturating_add_signed(skew.saturating_neg());
        let most = now.saturating_add(u64::from(payload.ttl_s) * 1_000);
        Some(end.min(most))
    }

    /// Applies an edit, a retraction or a read receipt.
    fn follow(&mut self, row: i64, body: Body) -> Result<(), StoreError> {
        match body {
            Body::Edit { target, content } => self.on_edit(row, &target, &content),
            Body::Retract { target } => self.on_retract(row, &target),
            Body::Read { targets } => targets
                .iter()
                .try_for_each(|target| self.on_read(row, target)),
            Body::Content(_) | Body::Skip => Ok(()),
        }
    }

    fn on_edit(&mut self, row: i64, id: &MessageId, new: &Content) -> Result<(), StoreError> {
        // Only the author may edit: the message must have been received from this contact.
        let Some(head) = self.store.message_head(&id.0)? else {
            return Ok(());
        };
        if !self.may_change(row, &head) {
            return Ok(());
        }
        let (media_type, content) = stored_content(new);
        let content = content.unwrap_or_default();
        self.store.edit_message(head.row, &media_type, &content)?;
        self.maintenance.note_content_changed();
        self.event(EventKind::MessageEdited, row, Some(head.row), 0)
    }

    fn on_retract(&mut self, row: i64, id: &MessageId) -> Result<(), StoreError> {
        let Some(head) = self.store.message_head(&id.0)? else {
            return self.store.put_tombstone(&id.0, row);
        };
        if !self.may_change(row, &head) {
            return Ok(());
        }
        self.store.erase_message(head.row, Gone::Retracted)?;
        let now = self.now_ms();
        self.maintenance.note_freed(now);
        self.event(EventKind::MessageRetracted, row, Some(head.row), 0)
    }

    /// Returns whether a contact may edit or retract a message: it must be its own and have content
    /// left.
    fn may_change(&self, row: i64, head: &MessageHead) -> bool {
        let theirs = head.contact == row && !head.own;
        if !theirs {
            self.counters.count("MESSAGE_NOT_THEIRS");
        }
        theirs && !head.gone && head.kind == MessageKind::Content as i64
    }

    fn on_read(&mut self, row: i64, id: &MessageId) -> Result<(), StoreError> {
        let Some(head) = self.store.message_head(&id.0)? else {
            return Ok(());
        };
        if head.contact != row || !head.own {
            self.counters.count("MESSAGE_NOT_THEIRS");
        }
        if head.contact != row || !head.own || head.state != MessageState::Delivered {
            return Ok(());
        }
        self.change_state(row, &head, *id, MessageState::Read, None)
    }

    /// Releases a held place whose turn has come.
    pub(super) fn on_release(
        &mut self,
        row: i64,
        id: MessageId,
        incarnation: u64,
        sequence: u64,
        show: bool,
    ) -> Result<(), StoreError> {
        let held = self.store.take_held(row, incarnation, sequence)?;
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
            return self.on_skip(from);
        }
        let payload = Payload::parse(Bytes::from(payload))
            .map_err(|_| StoreError::Corrupt("held message"))?;
        self.on_message(from, payload)
    }

    /// Records a message that its sender gave up. Only its id is kept.
    pub(super) fn on_skip(&mut self, from: Arrival) -> Result<(), StoreError> {
        let Arrival {
            row,
            id,
            incarnation,
            hash,
        } = from;
        let now = self.now_ms();
        self.store.insert_message(&MessageRow {
            row: 0,
            id: id.0,
            contact: row,
            kind: MessageKind::Skip,
            own: false,
            incarnation,
            state: MessageState::Delivered,
            author_ms: now,
            stored_ms: self.clock.order_ms(),
            hash: hash.0,
            media_type: String::new(),
            content: None,
            gone: Gone::No,
            expires_ms: None,
        })?;
        self.note_hidden(row)
    }

    /// Reports a gap: missing messages were not waited for any longer.
    pub(super) fn on_gap(&mut self, row: i64, missing: u64) -> Result<(), StoreError> {
        let missing = i64::try_from(missing).unwrap_or(i64::MAX);
        self.event(EventKind::Gap, row, None, missing)
    }

    /// Updates the state of a sent message.
    pub(super) fn on_state(
        &mut self,
        row: i64,
        id: MessageId,
        state: Delivery,
    ) -> Result<(), StoreError> {
        // A delivered message's outbox row is removed by the next write.
        if state != Delivery::Delivered {
            self.store.set_outbox_state(&id, state)?;
        }
        let Some(head) = self.store.message_head(&id.0)? else {
            return Ok(());
        };
        let (state, failure) = match state {
            Delivery::Queued => (MessageState::Queued, None),
            Delivery::Sent(_) => (MessageState::Sent, None),
            Delivery::Deposited => (MessageState::Deposited, None),
            Delivery::Delivered => (MessageState::Delivered, None),
            Delivery::GivenUp(GiveUp::Expired) => (MessageState::Expired, None),
            Delivery::GivenUp(GiveUp::Retracted) => {
                (MessageState::Failed, Some(Failure::Retracted))
            }
            Delivery::GivenUp(GiveUp::ContactRemoved) => {
                (MessageState::Failed, Some(Failure::ContactRemoved))
            }
        };
        if head.state == state || head.state == MessageState::Read {
            return Ok(());
        }
        self.change_state(row, &head, id, state, failure)
    }

    /// Stores a state and notifies watchers. Edits, retractions and receipts change without notice.
    fn change_state(
        &mut self,
        row: i64,
        head: &MessageHead,
        id: MessageId,
        state: MessageState,
        failure: Option<Failure>,
    ) -> Result<(), StoreError> {
        let number = failure.map_or(0, |failure| failure as i64);
        match failure {
            Some(_) => self.store.set_message_failed(head.row, number)?,
            None => self.store.set_message_state(head.row, state)?,
        }
        if head.kind != MessageKind::Content as i64 {
            return Ok(());
        }
        let detail = state.event_detail(number);
        self.state_event(row, head.row, id, detail)
    }

    /// Appends an event to the log.
    pub(super) fn event(
        &mut self,
        kind: EventKind,
        contact: i64,
        message: Option<i64>,
        detail: i64,
    ) -> Result<(), StoreError> {
        let event = NewEvent {
            kind,
            contact,
            message,
            detail,
        };
        let seq = self.store.append_event(&event, self.clock.order_ms())?;
        self.effect(Effect::Event(LiveEvent::Stored(seq)));
        Ok(())
    }

    /// Appends the arrival of a message to the log. Streams get it from memory.
    fn message_event(&mut self, message: MessageRow) -> Result<(), StoreError> {
        let (contact, kind) = (message.contact, EventKind::MessageReceived);
        let peer_state = self.peers.get(&contact);
        let peer_id = peer_state.map(|peer_state| peer_state.contact.peer_id);
        let Some(peer_id) = peer_id else {
            return self.event(kind, contact, Some(message.row), 0);
        };
        let event = NewEvent {
            kind,
            contact,
            message: Some(message.row),
            detail: 0,
        };
        let time_ms = self.clock.order_ms();
        let seq = self.store.append_event(&event, time_ms)?;
        let live = EventRow {
            seq,
            time_ms,
            kind,
            peer_id,
            name: String::new(),
            suggested_name: String::new(),
            detail: 0,
            message_id: Some(message.id),
            message: Some(shown(message, peer_id)),
        };
        let live = LiveEvent::Whole(Box::new(live));
        self.effect(Effect::Event(live));
        Ok(())
    }

    /// Appends a message's state to the log. The event has no content, so streams get it from
    /// memory.
    fn state_event(
        &mut self,
        contact: i64,
        message: i64,
        id: MessageId,
        detail: i64,
    ) -> Result<(), StoreError> {
        let event = NewEvent {
            kind: EventKind::MessageState,
            contact,
            message: Some(message),
            detail,
        };
        let time_ms = self.clock.order_ms();
        let seq = self.store.append_event(&event, time_ms)?;
        let live = match self.peers.get(&contact) {
            Some(peer_state) => LiveEvent::Whole(Box::new(EventRow {
                seq,
                time_ms,
                kind: event.kind,
                peer_id: peer_state.contact.peer_id,
                name: String::new(),
                suggested_name: String::new(),
                detail,
                message_id: Some(id.0),
                message: None,
            })),
            None => LiveEvent::Stored(seq),
        };
        self.effect(Effect::Event(live));
        Ok(())
    }
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
    }
}

const fn kind_of(body: &Body) -> MessageKind {
    match body {
        Body::Content(_) => MessageKind::Content,
        Body::Edit { .. } => MessageKind::Edit,
        Body::Retract { .. } => MessageKind::Retract,
        Body::Read { .. } => MessageKind::Read,
        Body::Skip => MessageKind::Skip,
    }
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

#[cfg(test)]
mod tests;
