//! The sending half: from the outbox to the peer's acknowledgement (docs/spec/delivery.md#sending).

mod acks;
mod exchange;

use self::exchange::Exchange;
use super::context::{Context, Queued};
use super::error::SendRefused;
use super::id::{ContentHash, MessageId, Path, Time};
use super::limits::Limits;
use super::notice::{Notice, sending_rate};
use super::outbox::{Outbox, Progress};
use super::output::{Action, GiveUp, MessageState, Saved, SavedOutbox, Write};
use super::payload::{Body, Draft, MAX_PAYLOAD, MAX_SEQUENCE, Payload, PayloadError};
use super::send_epochs::{SealedMessage, SendEpochs};
use super::tools::Tools;
use bytes::Bytes;
use m2_limits::token_bucket::TokenBucket;

/// Unanswered retransmissions after which an old message no longer keeps the window from moving on.
const STUCK_ATTEMPTS: u32 = 5;

/// How long to wait after the cryptography library failed to seal, in milliseconds.
const SEAL_RETRY: u64 = 60_000;

/// The state of the sending half.
pub(super) struct Sending {
    outbox: Outbox,
    epochs: SendEpochs,
    next_sequence: u64,
    next_sequence_dirty: bool,
    path: Option<Path>,
    /// The progress of the exchange of statements at the start of the session.
    exchange: Exchange,
    /// Set when this side must send its statement.
    statement_due: bool,
    /// All messages of the window before this place were offered in this session.
    cursor: u64,
    /// When to run the pump again if nothing else happens: an epoch may open then.
    retry: Option<Time>,
    /// Scales each wait for an acknowledgement by (768 + `jitter`) / 1024.
    jitter: u64,
    /// The payload that was stored last, by place, until the input that caused it is processed: usually
    /// it is offered at once.
    fresh: Option<(u64, Bytes)>,
    notices: TokenBucket,
}

impl Sending {
    pub(super) fn new(saved: &mut Saved) -> Self {
        let rows = std::mem::take(&mut saved.outbox);
        let after = rows.iter().map(|row| row.sequence.saturating_add(1)).max();
        Self {
            outbox: Outbox::new(rows),
            epochs: SendEpochs::new(saved.place),
            next_sequence: saved.next_sequence.max(after.unwrap_or(1)).max(1),
            next_sequence_dirty: false,
            path: None,
            exchange: Exchange::Awaited,
            statement_due: false,
            cursor: 0,
            retry: None,
            jitter: 0,
            fresh: None,
            notices: sending_rate(),
        }
    }

    pub(super) fn contains(&self, id: &MessageId) -> bool {
        self.outbox.sequence_of(id).is_some()
    }

    pub(super) fn pending(&self) -> usize {
        self.outbox.len()
    }

    /// Returns whether the outbox has room for another message.
    pub(super) fn has_room(&self, limits: &Limits) -> bool {
        self.outbox.len() < limits.max_outbox
    }

    pub(super) fn send(
        &mut self,
        cx: &mut Context<'_>,
        tools: &mut Tools<'_>,
        id: MessageId,
        draft: Draft,
    ) -> Result<ContentHash, SendRefused> {
        draft.body.check_draft().map_err(SendRefused::Draft)?;
        if !self.has_room(tools.limits) {
            return Err(SendRefused::OutboxFull);
        }
        if self.contains(&id) {
            return Err(SendRefused::IdInUse);
        }
        if self.next_sequence > MAX_SEQUENCE {
            return Err(SendRefused::SequenceSpent);
        }
        let payload = Payload {
            sequence: self.next_sequence,
            sent: cx.now,
            ttl_s: draft.ttl_s,
            body: draft.body,
            as_sent: None,
        };
        let hash = self.enqueue(cx, tools, id, payload)?;
        self.pump(cx, tools);
        self.fresh = None;
        Ok(hash)
    }

    fn enqueue(
        &mut self,
        cx: &Context<'_>,
        tools: &mut Tools<'_>,
        id: MessageId,
        payload: Payload,
    ) -> Result<ContentHash, SendRefused> {
        let encoded = payload.encode();
        if encoded.len() > MAX_PAYLOAD {
            return Err(SendRefused::Draft(PayloadError::TooLarge));
        }
        let entry = SavedOutbox {
            id,
            sequence: payload.sequence,
            hash: payload.hash(&id),
            replaced: None,
            queued: cx.now,
            expires: payload.expires(),
            state: MessageState::Queued,
        };
        self.outbox.insert(entry);
        self.next_sequence += 1;
        self.next_sequence_dirty = true;
        self.fresh = Some((entry.sequence, encoded.into()));
        tools.out.write(Write::Outbox { entry, payload });
        Ok(entry.hash)
    }

    pub(super) fn give_up(
        &mut self,
        cx: &mut Context<'_>,
        tools: &mut Tools<'_>,
        id: &MessageId,
        reason: GiveUp,
    ) {
        if let Some(sequence) = self.outbox.sequence_of(id) {
            self.skip(cx, tools, sequence, reason);
        }
    }

    /// Puts a SKIP in the message's place, and offers it if the message was offered.
    fn skip(&mut self, cx: &mut Context<'_>, tools: &mut Tools<'_>, sequence: u64, reason: GiveUp) {
        self.put_skip(cx, tools, sequence, reason);
        self.offer_again(cx, tools, sequence);
        self.fresh = None;
    }

    /// Puts a SKIP in the message's place (docs/spec/delivery.md#skip).
    fn put_skip(&mut self, cx: &Context<'_>, tools: &mut Tools<'_>, sequence: u64, reason: GiveUp) {
        let Some(old) = self.outbox.get(sequence).map(|entry| entry.saved) else {
            return;
        };
        if matches!(old.state, MessageState::GivenUp(_)) {
            return;
        }
        let payload = Payload {
            sequence,
            sent: cx.now,
            ttl_s: 0,
            body: Body::Skip,
            as_sent: None,
        };
        let entry = SavedOutbox {
            hash: payload.hash(&old.id),
            replaced: Some(old.hash),
            expires: None,
            state: MessageState::GivenUp(reason),
            ..old
        };
        self.outbox.replace(entry);
        tools.out.drop_offer(&old.id);
        self.fresh = Some((sequence, payload.encode().into()));
        tools.out.write(Write::Outbox { entry, payload });
        tools.out.write(Write::State {
            id: old.id,
            state: entry.state,
        });
    }

    fn expire(&mut self, cx: &mut Context<'_>, tools: &mut Tools<'_>) {
        while let Some(sequence) = self.outbox.expired(cx.now) {
            self.skip(cx, tools, sequence, GiveUp::Expired);
        }
    }

    fn draw_jitter(&mut self, cx: &mut Context<'_>) {
        self.jitter = u64::from(cx.rng.next_u32() % 512);
    }

    /// Offers, in order, the messages that the window allows.
    fn pump(&mut self, cx: &mut Context<'_>, tools: &mut Tools<'_>) {
        let Some(path) = self.open_path() else {
            return;
        };
        self.retry = None;
        let end = self
            .outbox
            .window_base()
            .saturating_add(tools.limits.window);
        while let Some(sequence) = self.outbox.next_from(self.cursor, end) {
            if !self.offer(cx, tools, path, sequence) {
                return;
            }
            self.cursor = sequence + 1;
        }
    }

    /// Offers one message that the pump may have passed already.
    fn offer_again(&mut self, cx: &mut Context<'_>, tools: &mut Tools<'_>, sequence: u64) {
        let Some(path) = self.open_path() else {
            return;
        };
        if sequence < self.cursor && !self.offer(cx, tools, path, sequence) {
            self.cursor = sequence;
        }
    }

    /// Seals and sends one message. Returns false if that is not possible now.
    fn offer(
        &mut self,
        cx: &mut Context<'_>,
        tools: &mut Tools<'_>,
        path: Path,
        sequence: u64,
    ) -> bool {
        let Some(entry) = self.outbox.get(sequence) else {
            return true;
        };
        if entry.progress != Progress::Waiting {
            return true;
        }
        let saved = entry.saved;
        if !self.acquire(cx, tools) {
            return false;
        }
        match self.payload(cx, tools, &saved) {
            Queued::Payload(payload) => self.transmit(cx, tools, path, saved, &payload),
            Queued::Erased => {
                self.put_skip(cx, tools, sequence, GiveUp::Expired);
                self.offer(cx, tools, path, sequence)
            }
            // It is offered again later.
            Queued::Missing => {
                self.note_offered(cx, tools, sequence);
                true
            }
        }
    }

    /// Returns the payload of a message: the one that was stored last, one whose row is not polled yet, or
    /// that of the row. Once a SKIP has taken its place, no message is erased.
    fn payload(&mut self, cx: &Context<'_>, tools: &Tools<'_>, saved: &SavedOutbox) -> Queued {
        if let Some((_, payload)) = self.fresh.take_if(|(place, _)| *place == saved.sequence) {
            return Queued::Payload(payload);
        }
        if let Some(payload) = tools.out.unpolled_payload(&saved.id) {
            return Queued::Payload(payload);
        }
        match cx.history.queued(&saved.id) {
            Queued::Erased if matches!(saved.state, MessageState::GivenUp(_)) => Queued::Missing,
            queued => queued,
        }
    }

    fn note_offered(&mut self, cx: &Context<'_>, tools: &Tools<'_>, sequence: u64) {
        self.outbox
            .offered(sequence, cx.now, tools.limits, self.jitter);
    }

    /// Seals a message and sends it. Returns false if it can't be sealed now.
    fn transmit(
        &mut self,
        cx: &Context<'_>,
        tools: &mut Tools<'_>,
        path: Path,
        saved: SavedOutbox,
        payload: &[u8],
    ) -> bool {
        let Ok(message) = self.epochs.seal(&saved.id, payload) else {
            tools.counters.seal_failed += 1;
            self.retry = Some(cx.now.plus(SEAL_RETRY));
            return false;
        };
        let resealed = self.outbox.note_sealed(saved.sequence, message.epoch);
        tools.counters.resealed += u64::from(resealed);
        self.note_offered(cx, tools, saved.sequence);
        if saved.state == MessageState::Queued {
            let state = MessageState::Sent(path);
            self.outbox.set_state(saved.sequence, state);
            tools.out.write(Write::State {
                id: saved.id,
                state,
            });
        }
        tools.out.act(transmit(Some(saved.id), message));
        true
    }

    /// Seals and sends a notice. Returns false if that is not possible now: it is not sent later.
    pub(super) fn notify(
        &mut self,
        cx: &mut Context<'_>,
        tools: &mut Tools<'_>,
        notice: Notice,
    ) -> bool {
        let Some(plaintext) = notice.encode() else {
            return false;
        };
        // While messages wait for an epoch, the attempt to open one is theirs.
        let is_open = self.open_path().is_some() && self.retry.is_none();
        if !is_open || !self.notices.take(1, cx.now.0) || !self.acquire(cx, tools) {
            return false;
        }
        let mut id = MessageId([0; 16]);
        cx.rng.fill_bytes(&mut id.0);
        let Ok(message) = self.epochs.seal(&id, &plaintext) else {
            tools.counters.seal_failed += 1;
            return false;
        };
        tools.out.act(transmit(None, message));
        true
    }

    /// Makes sure that there is an epoch to seal under, or sets the time of the next attempt.
    fn acquire(&mut self, cx: &mut Context<'_>, tools: &mut Tools<'_>) -> bool {
        match self.epochs.acquire(cx, tools.limits) {
            Ok(true) => return true,
            Ok(false) => {
                let opening = self.epochs.next_opening(tools.limits);
                self.retry = opening.filter(|at| *at > cx.now);
            }
            Err(_) => {
                tools.counters.seal_failed += 1;
                self.retry = Some(cx.now.plus(SEAL_RETRY));
            }
        }
        false
    }

    /// Records that a mailbox of the peer holds the message (docs/spec/delivery.md#by-letter).
    pub(super) fn on_deposited(&mut self, tools: &mut Tools<'_>, id: &MessageId) {
        let Some(saved) = self.outbox.by_id(id).map(|entry| entry.saved) else {
            return;
        };
        self.outbox.note_copy(saved.sequence);
        if matches!(saved.state, MessageState::Queued | MessageState::Sent(_)) {
            let state = MessageState::Deposited;
            self.outbox.set_state(saved.sequence, state);
            tools.out.write(Write::State { id: *id, state });
        }
    }

    pub(super) fn on_epoch_refused(
        &mut self,
        cx: &mut Context<'_>,
        tools: &mut Tools<'_>,
        incarnation: u64,
        epoch: u64,
    ) {
        let own = self.epochs.place().incarnation;
        if incarnation != own {
            tools.counters.ignored_refusals += 1;
            return;
        }
        let is_current = self.epochs.refuse(epoch);
        if !is_current && !self.epochs.may_seal_again(cx.now, tools.limits) {
            // The messages of the epoch are repeated in time, as they are not acknowledged.
            tools.counters.ignored_refusals += 1;
            return;
        }
        match self.outbox.reset_offers(epoch) {
            Some(first) => {
                self.cursor = self.cursor.min(first);
                self.epochs.note_refusal(cx.now, is_current);
            }
            None if is_current => {}
            None => {
                tools.counters.ignored_refusals += 1;
                return;
            }
        }
        self.pump(cx, tools);
    }

    pub(super) fn on_timeout(&mut self, cx: &mut Context<'_>, tools: &mut Tools<'_>) {
        self.expire(cx, tools);
        self.renew_in_time(cx, tools);
        if self.open_path().is_none() {
            return;
        }
        self.draw_jitter(cx);
        while let Some(entry) = self.outbox.unanswered(cx.now) {
            entry.attempts = entry.attempts.saturating_add(1);
            let waited = cx.now.since(entry.saved.queued);
            entry.stuck |= entry.attempts >= STUCK_ATTEMPTS && waited >= tools.limits.hold;
            self.cursor = self.cursor.min(entry.saved.sequence);
            tools.counters.resent += 1;
        }
        self.pump(cx, tools);
    }

    pub(super) fn next_timeout(&self) -> Option<Time> {
        let resend = self.outbox.next_resend();
        let expiry = self.outbox.next_expiry();
        [resend, expiry, self.retry].into_iter().flatten().min()
    }

    /// Returns a write of which only the last state per transaction counts.
    pub(super) fn take_dirty(&mut self) -> Option<Write> {
        if std::mem::take(&mut self.next_sequence_dirty) {
            return Some(Write::NextSequence {
                next: self.next_sequence,
            });
        }
        self.epochs.take_dirty()
    }

    pub(super) fn is_dirty(&self) -> bool {
        self.next_sequence_dirty || self.epochs.is_dirty()
    }
}

fn transmit(id: Option<MessageId>, message: SealedMessage) -> Action {
    Action::Transmit {
        id,
        session: message.session,
        grant: message.grant,
        sealed: message.sealed,
    }
}
