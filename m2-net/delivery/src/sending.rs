//! The sending half: from the outbox to the peer's acknowledgement (docs/spec/delivery.md#sending).

mod acks;
mod exchange;

use self::exchange::Exchange;
use super::context::Context;
use super::error::{SealFailed, SendRefused};
use super::id::{ContentHash, MessageId, Path, Time};
use super::limits::Limits;
use super::outbox::{Outbox, Progress};
use super::output::{Action, GiveUp, MessageState, Saved, SavedOutbox, Write};
use super::payload::{Body, Draft, MAX_PAYLOAD, MAX_SEQUENCE, Payload, PayloadError};
use super::send_epochs::SendEpochs;
use super::tools::Tools;
use bytes::Bytes;

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
    /// The message that was sealed last, by place and epoch, until the input that caused it is
    /// processed: usually it is transmitted at once.
    fresh: Option<(u64, u64, Bytes)>,
}

impl Sending {
    pub(super) fn new(saved: &mut Saved) -> Self {
        let rows = std::mem::take(&mut saved.outbox);
        let after = rows.iter().map(|row| row.sequence.saturating_add(1)).max();
        let epochs = SendEpochs::new(
            saved.place,
            std::mem::take(&mut saved.send_epochs),
            rows.iter().map(|row| row.epoch),
        );
        Self {
            outbox: Outbox::new(rows),
            epochs,
            next_sequence: saved.next_sequence.max(after.unwrap_or(1)).max(1),
            next_sequence_dirty: false,
            path: None,
            exchange: Exchange::Awaited,
            statement_due: false,
            cursor: 0,
            retry: None,
            jitter: 0,
            fresh: None,
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
            oldest: 0,
            as_sent: None,
        };
        let hash = self.enqueue(cx, tools, id, payload)?;
        self.pump(cx, tools);
        self.fresh = None;
        Ok(hash)
    }

    fn enqueue(
        &mut self,
        cx: &mut Context<'_>,
        tools: &mut Tools<'_>,
        id: MessageId,
        payload: Payload,
    ) -> Result<ContentHash, SendRefused> {
        let encoded = payload.encode();
        if encoded.len() > MAX_PAYLOAD {
            return Err(SendRefused::Draft(PayloadError::TooLarge));
        }
        let (epoch, sealed) = self
            .seal(cx, tools, &id, &encoded)
            .map_err(SendRefused::Seal)?;
        let entry = SavedOutbox {
            id,
            sequence: payload.sequence,
            epoch,
            hash: payload.hash(&id),
            replaced: None,
            queued: cx.now,
            expires: payload.expires(),
            state: MessageState::Queued,
        };
        self.outbox.insert(entry);
        self.next_sequence += 1;
        self.next_sequence_dirty = true;
        self.fresh = Some((entry.sequence, epoch, sealed.clone()));
        tools.out.write(Write::Outbox {
            entry,
            payload,
            sealed,
        });
        Ok(entry.hash)
    }

    fn seal(
        &mut self,
        cx: &mut Context<'_>,
        tools: &mut Tools<'_>,
        id: &MessageId,
        payload: &[u8],
    ) -> Result<(u64, Bytes), SealFailed> {
        let result = self
            .epochs
            .acquire_now(cx, tools.limits, tools.out)
            .and_then(|epoch| Ok((epoch, self.epochs.seal(epoch, id, payload)?.into())));
        tools.counters.seal_failed += u64::from(result.is_err());
        result
    }

    pub(super) fn give_up(
        &mut self,
        cx: &mut Context<'_>,
        tools: &mut Tools<'_>,
        id: &MessageId,
        reason: GiveUp,
    ) {
        if let Some(sequence) = self.outbox.sequence_of(id) {
            // A failure is counted. An expiry is retried, and a retraction is also sent as a
            // Retract message.
            let _ = self.skip(cx, tools, sequence, reason);
        }
    }

    /// Puts a SKIP in the message's place (docs/spec/delivery.md#skip).
    fn skip(
        &mut self,
        cx: &mut Context<'_>,
        tools: &mut Tools<'_>,
        sequence: u64,
        reason: GiveUp,
    ) -> Result<(), SealFailed> {
        let Some(old) = self.outbox.get(sequence).map(|entry| entry.saved) else {
            return Ok(());
        };
        if matches!(old.state, MessageState::GivenUp(_)) {
            return Ok(());
        }
        let payload = Payload {
            sequence,
            sent: cx.now,
            ttl_s: 0,
            body: Body::Skip,
            oldest: 0,
            as_sent: None,
        };
        let (epoch, sealed) = self.seal(cx, tools, &old.id, &payload.encode())?;
        let entry = SavedOutbox {
            epoch,
            hash: payload.hash(&old.id),
            replaced: Some(old.hash),
            expires: None,
            state: MessageState::GivenUp(reason),
            ..old
        };
        self.outbox.replace(entry);
        tools.out.forget_sealed(&old.id);
        self.fresh = Some((sequence, epoch, sealed.clone()));
        tools.out.write(Write::Outbox {
            entry,
            payload,
            sealed,
        });
        tools.out.write(Write::State {
            id: old.id,
            state: entry.state,
        });
        self.epochs.release(old.epoch, tools.out);
        self.offer_again(cx, tools, sequence);
        self.fresh = None;
        Ok(())
    }

    fn expire(&mut self, cx: &mut Context<'_>, tools: &mut Tools<'_>) {
        while let Some(sequence) = self.outbox.expired(cx.now) {
            if self.skip(cx, tools, sequence, GiveUp::Expired).is_err() {
                self.outbox.expire_later(sequence, cx.now.plus(SEAL_RETRY));
            }
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

    /// Sends one message or starts to seal it again. Returns false if neither is possible now.
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
        let (saved, progress) = (entry.saved, entry.progress);
        if progress != Progress::Waiting {
            return true;
        }
        if self.epochs.usable(saved.epoch, cx.now, tools.limits) {
            self.transmit(cx, tools, path, saved);
            return true;
        }
        self.load(cx, tools, saved)
    }

    fn transmit(
        &mut self,
        cx: &Context<'_>,
        tools: &mut Tools<'_>,
        path: Path,
        saved: SavedOutbox,
    ) {
        self.outbox
            .offered(saved.sequence, cx.now, tools.limits, self.jitter);
        if saved.state == MessageState::Queued {
            let state = MessageState::Sent(path);
            self.outbox.set_state(saved.sequence, state);
            tools.out.write(Write::State {
                id: saved.id,
                state,
            });
        }
        tools.out.act(Action::Transmit {
            id: saved.id,
            epoch: saved.epoch,
            grant: self.epochs.grant(saved.epoch),
            sealed: self.take_fresh(&saved),
        });
    }

    /// Returns the sealed bytes of a message if it was sealed last.
    fn take_fresh(&mut self, saved: &SavedOutbox) -> Option<Bytes> {
        let is_it = |(sequence, epoch, _): &mut (u64, u64, Bytes)| {
            (*sequence, *epoch) == (saved.sequence, saved.epoch)
        };
        self.fresh.take_if(is_it).map(|(_, _, sealed)| sealed)
    }

    /// Requests the payload of a message whose epoch is no longer usable, to seal it again.
    fn load(&mut self, cx: &mut Context<'_>, tools: &mut Tools<'_>, saved: SavedOutbox) -> bool {
        if self.outbox.loading() >= tools.limits.max_loading {
            return false;
        }
        if !self.acquire(cx, tools) {
            return false;
        }
        self.outbox.load(saved.sequence);
        tools.out.act(Action::LoadPayload { id: saved.id });
        true
    }

    /// Makes sure that there is an epoch to seal under, or sets the time of the next attempt.
    fn acquire(&mut self, cx: &mut Context<'_>, tools: &mut Tools<'_>) -> bool {
        match self.epochs.acquire(cx, tools.limits, tools.out) {
            Ok(Some(_)) => return true,
            Ok(None) => self.retry = self.epochs.next_opening(tools.limits),
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
        if matches!(saved.state, MessageState::Queued | MessageState::Sent(_)) {
            let state = MessageState::Deposited;
            self.outbox.set_state(saved.sequence, state);
            tools.out.write(Write::State { id: *id, state });
        }
    }

    pub(super) fn on_payload(
        &mut self,
        cx: &mut Context<'_>,
        tools: &mut Tools<'_>,
        id: &MessageId,
        payload: &[u8],
    ) {
        let Some(saved) = self.outbox.loaded(id) else {
            return;
        };
        // A payload that was requested before a SKIP took the message's place must not be sealed.
        let current = Payload::parse(Bytes::copy_from_slice(payload))
            .is_ok_and(|p| p.sequence == saved.sequence && p.hash(id) == saved.hash);
        if current {
            self.reseal(cx, tools, &saved, payload);
        }
        self.offer_again(cx, tools, saved.sequence);
        self.pump(cx, tools);
        self.fresh = None;
    }

    fn reseal(
        &mut self,
        cx: &mut Context<'_>,
        tools: &mut Tools<'_>,
        saved: &SavedOutbox,
        payload: &[u8],
    ) {
        // The new epoch may have been refused in the meantime; the pump then tries again.
        if self.epochs.usable(saved.epoch, cx.now, tools.limits) || !self.acquire(cx, tools) {
            return;
        }
        let Ok((epoch, sealed)) = self.seal(cx, tools, &saved.id, payload) else {
            return;
        };
        self.outbox.resealed(saved.sequence, epoch);
        tools.out.forget_sealed(&saved.id);
        self.fresh = Some((saved.sequence, epoch, sealed.clone()));
        tools.counters.resealed += 1;
        tools.out.write(Write::Reseal {
            id: saved.id,
            epoch,
            sealed,
        });
        self.epochs.release(saved.epoch, tools.out);
    }

    pub(super) fn on_epoch_refused(
        &mut self,
        cx: &mut Context<'_>,
        tools: &mut Tools<'_>,
        incarnation: u64,
        epoch: u64,
    ) {
        let own = self.epochs.place().incarnation;
        if incarnation != own || !self.epochs.refuse(epoch) {
            tools.counters.ignored_refusals += 1;
            return;
        }
        if let Some(first) = self.outbox.reset_offers(epoch) {
            self.cursor = self.cursor.min(first);
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
