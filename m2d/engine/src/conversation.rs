//! Drives the delivery state machines: feeds them, stores their writes and performs their actions.

use super::Engine;
use super::effect::{Effect, Step};
use super::inbox::Arrival;
use crate::refusal::Refusal;
use bytes::Bytes;
use m2_core::sessions::SessionId;
use m2_delivery::{
    self, Ack, Action, Body, Committed, Context, Conversation, GiveUp, History, MessageId, Payload,
    SavedOutbox, Time, Write,
};
use m2_limits::counters::Counters;
use m2_store::{OutboxPayload, Store, StoreError};
use m2_wire::{Envelope, Message};
use std::cell::RefCell;

/// The delivery machine's view of committed messages. A store error makes the batch fail.
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
}

impl Engine {
    /// Feeds the conversation with a contact and stores its writes.
    ///
    /// Errors: the store's, or those of loading the conversation. The batch must then fail.
    pub(super) fn with_conversation<T>(
        &mut self,
        row: i64,
        feed: impl FnOnce(&mut Conversation, &mut Context<'_>) -> T,
    ) -> Result<T, Refusal> {
        let result = self.feed(row, feed)?;
        self.drain(row)?;
        Ok(result)
    }

    /// Feeds the conversation with a contact. Its writes wait for [`Self::drain`].
    pub(super) fn feed<T>(
        &mut self,
        row: i64,
        feed: impl FnOnce(&mut Conversation, &mut Context<'_>) -> T,
    ) -> Result<T, Refusal> {
        self.load_conversation(row)?;
        let now = Time(self.clock.now_ms());
        let peer_state = self.peers.get_mut(&row).ok_or_else(no_slot)?;
        let certificate = peer_state.certificate()?;
        let history = StoredHistory {
            store: &self.store,
            error: RefCell::new(None),
        };
        let mut context = Context {
            now,
            rng: &mut self.rng,
            own: &self.identity,
            own_id: self.own_id,
            peer: &certificate,
            peer_id: peer_state.contact.peer_id,
            history: &history,
        };
        let conversation = peer_state.conversation.as_mut().ok_or_else(no_slot)?;
        let before = *conversation.counters();
        let result = feed(conversation, &mut context);
        count(&self.counters, &before, conversation.counters());
        if let Some(error) = history.error.into_inner() {
            return Err(error.into());
        }
        Ok(result)
    }

    /// Feeds a conversation as [`Self::with_conversation`] does, and fails the batch on an error.
    pub(super) fn with_conversation_quietly<T>(
        &mut self,
        row: i64,
        feed: impl FnOnce(&mut Conversation, &mut Context<'_>) -> T,
    ) -> Option<T> {
        match self.with_conversation(row, feed) {
            Ok(result) => Some(result),
            Err(refusal) => {
                self.fail_batch(refusal);
                None
            }
        }
    }

    /// Loads the conversation from the store unless it is in memory.
    fn load_conversation(&mut self, row: i64) -> Result<(), Refusal> {
        let limits = self.delivery_limits();
        let peer_state = self.peers.get_mut(&row).ok_or_else(no_slot)?;
        if peer_state.conversation.is_some() {
            return Ok(());
        }
        let saved = self.store.saved_conversation(row)?;
        peer_state.conversation = Some(Conversation::new(limits, saved));
        // A new session states its places in its own `begin_talk`.
        match self.serving(row).filter(|link| self.has_begun(link.id)) {
            Some(link) => self.talk_on(row, &link),
            None => Ok(()),
        }
    }

    /// Returns a contact's conversation, loaded from the store if necessary.
    pub(super) fn conversation(&mut self, row: i64) -> Result<&Conversation, Refusal> {
        self.load_conversation(row)?;
        let peer_state = self.peers.get(&row).ok_or_else(no_slot)?;
        peer_state.conversation.as_ref().ok_or_else(no_slot)
    }

    /// Stores all writes and queues all actions of a conversation.
    pub(super) fn drain(&mut self, row: i64) -> Result<(), Refusal> {
        while let Some(write) = self.machine(row).and_then(Conversation::poll_write) {
            self.apply(row, write)?;
        }
        while let Some(action) = self.machine(row).and_then(Conversation::poll_action) {
            self.steps.push(match (action, self.answering) {
                (Action::Acknowledge(acks), Some(id)) => Step::Acknowledge(row, id, acks),
                (action, _) => Step::Act(row, action),
            });
        }
        self.set_timer(row);
        Ok(())
    }

    fn machine(&mut self, row: i64) -> Option<&mut Conversation> {
        self.peers.get_mut(&row)?.conversation.as_mut()
    }

    fn set_timer(&mut self, row: i64) {
        let Some(peer_state) = self.peers.get_mut(&row) else {
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
            self.timers.remove(&(old, row));
        }
        self.timers.extend(due.map(|due| (due, row)));
    }

    pub(super) fn on_conversation_timeout(&mut self, row: i64) {
        if let Some(peer_state) = self.peers.get_mut(&row) {
            peer_state.timer = None;
        }
        self.with_conversation_quietly(row, |conversation, cx| conversation.on_timeout(cx));
    }

    /// Makes the timer due now for each conversation that may have timed work: those with queued
    /// messages and those with a session. The next batch loads them.
    pub(super) fn wake_conversations(&mut self) -> Result<(), StoreError> {
        let mut rows = self.store.rows_with_timers()?;
        let connected = self
            .peers
            .values()
            .filter(|peer_state| !peer_state.links.is_empty());
        rows.extend(connected.map(|peer_state| peer_state.contact.row));
        let now = self.clock.now_ms();
        for row in rows {
            if let Some(peer_state) = self.peers.get_mut(&row)
                && peer_state.timer.is_none()
            {
                peer_state.timer = Some(now);
                self.timers.insert((now, row));
            }
        }
        Ok(())
    }

    fn apply(&mut self, row: i64, write: Write) -> Result<(), Refusal> {
        match write {
            Write::NextSequence { next } => self.dirty.sequence(row, next),
            Write::SendEpoch(epoch) => self.dirty.send_epoch(row, epoch),
            Write::ReceiveEpoch(epoch) => self.dirty.receive_epoch(row, epoch),
            Write::Incarnation(incarnation) => self.dirty.incarnation(row, incarnation),
            Write::Place(place) => self.dirty.place(row, place),
            Write::Following { incarnation } => self.store.put_following(row, incarnation)?,
            Write::PeerGrant(grant) => self.store.put_peer_grant(row, &grant)?,
            Write::IncarnationRemove { incarnation } => {
                self.dirty.forget_incarnation(row, incarnation);
                self.store.delete_incarnation(row, incarnation)?;
            }
            Write::SendEpochRemove { epoch } => {
                self.dirty.forget_send_epoch(row, epoch);
                self.store.delete_send_epoch(row, epoch)?;
            }
            Write::ReceiveEpochRemove { incarnation, epoch } => {
                self.dirty.forget_receive_epoch(row, incarnation, epoch);
                self.store.delete_receive_epoch(row, incarnation, epoch)?;
            }
            Write::Outbox {
                entry,
                payload,
                sealed,
            } => self.put_in_outbox(row, &entry, &payload, &sealed)?,
            Write::Reseal { id, epoch, sealed } => {
                self.rewritten.insert(id);
                self.store.reseal_outbox(&id, epoch, &sealed)?;
            }
            Write::OutboxRemove { id } => {
                self.rewritten.insert(id);
                self.store.delete_outbox(&id)?;
            }
            Write::State { id, state } => self.on_state(row, id, state)?,
            Write::Deliver {
                id,
                incarnation,
                payload,
                hash,
                in_order: _,
            } => self.on_message(Arrival::new(row, id, incarnation, hash), payload)?,
            Write::Hold {
                held,
                payload,
                hash,
            } => {
                let payload = payload.map(|payload| payload.encode());
                self.store.put_held(row, &held, &hash, payload.as_deref())?;
            }
            Write::Release {
                id,
                incarnation,
                sequence,
                show,
            } => self.on_release(row, id, incarnation, sequence, show)?,
            Write::Skip {
                id,
                incarnation,
                hash,
                ..
            } => self.on_skip(Arrival::new(row, id, incarnation, hash))?,
            Write::Gap { missing, .. } => self.on_gap(row, missing)?,
            Write::HistoryLost { missing } => self.on_history_lost(row, missing)?,
            Write::Conflict(conflict) => self.on_conflict(row, conflict)?,
        }
        Ok(())
    }

    fn put_in_outbox(
        &mut self,
        row: i64,
        entry: &SavedOutbox,
        payload: &Payload,
        sealed: &[u8],
    ) -> Result<(), StoreError> {
        if entry.replaced.is_some() {
            self.rewritten.insert(entry.id);
        }
        // The content is in the message's own row already.
        let kept = match payload.body {
            Body::Content(_) => None,
            _ => Some(payload.encode()),
        };
        self.store.put_outbox(row, entry, kept.as_deref(), sealed)
    }

    /// Performs an action whose writes are on disk. A failure here is repaired by a retransmission.
    pub(super) fn act(&mut self, row: i64, action: Action) {
        match action {
            Action::State(places) => {
                let serving = self.serving(row);
                let progress = serving.and_then(|link| {
                    let progress = self.sessions.progress_mut(link.id)?;
                    Some((link.id, progress))
                });
                if let Some((id, progress)) = progress {
                    progress.stated = places.incarnation;
                    let frame = Box::new(Message::Places(Box::new(places)));
                    self.effects.push_back(Effect::Send(id, frame));
                }
            }
            Action::Transmit {
                id,
                epoch,
                grant,
                sealed,
            } => {
                let sealed = sealed.filter(|_| !self.rewritten.contains(&id));
                if let Some(sealed) = sealed.or_else(|| self.stored_sealed(&id, epoch)) {
                    let grant = grant.unwrap_or_default();
                    self.send_frame(row, Message::Envelope(Envelope { grant, sealed }));
                }
            }
            Action::Acknowledge(acks) => self.send_frame(row, acks_frame(acks)),
            Action::RefuseEpoch { incarnation, epoch } => {
                self.send_frame(row, Message::EpochRefused { incarnation, epoch });
            }
            Action::LoadPayload { id } => self.load_payload(row, id),
        }
    }

    /// Sends acknowledgements on the session that brought the messages, or else on the serving one.
    pub(super) fn acknowledge(&mut self, row: i64, id: SessionId, acks: Vec<Ack>) {
        if self.stated_in(id) != 0 {
            let effect = Effect::Send(id, Box::new(acks_frame(acks)));
            self.effects.push_back(effect);
        } else {
            self.send_frame(row, acks_frame(acks));
        }
    }

    /// Reads the sealed bytes of a message that waited, if they still have this epoch.
    fn stored_sealed(&self, id: &MessageId, epoch: u64) -> Option<Bytes> {
        let (stored_epoch, sealed) = self.store.outbox_sealed(id).ok().flatten()?;
        (stored_epoch == epoch).then(|| sealed.into())
    }

    fn send_frame(&mut self, row: i64, message: Message) {
        let link = self.serving(row);
        if let Some(link) = link.filter(|link| self.stated_in(link.id) != 0) {
            let effect = Effect::Send(link.id, Box::new(message));
            self.effects.push_back(effect);
        }
    }

    fn has_begun(&self, id: SessionId) -> bool {
        let progress = self.sessions.progress(id);
        progress.is_some_and(|progress| progress.begun)
    }

    /// Reads a payload that must be sealed again. Sealing writes to the store, so the payload waits
    /// for the next batch.
    fn load_payload(&mut self, row: i64, id: MessageId) {
        match self.store.outbox_payload(&id) {
            Ok(OutboxPayload::NoRow) => {}
            answer => self.later.push((row, id, answer)),
        }
    }

    /// Passes loaded payloads to their conversations, within a batch.
    pub(super) fn answer_payloads(&mut self) {
        for (row, id, answer) in std::mem::take(&mut self.later) {
            let payload = match answer {
                Ok(payload) => payload,
                Err(error) => return self.fail_batch(error.into()),
            };
            self.with_conversation_quietly(row, |conversation, cx| match payload {
                OutboxPayload::There(payload) => conversation.on_payload(cx, id, &payload),
                OutboxPayload::Erased => conversation.give_up(cx, id, GiveUp::Expired),
                OutboxPayload::NoRow => {}
            });
        }
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
