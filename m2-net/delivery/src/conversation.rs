//! The state machine of one conversation.

use super::context::Context;
use super::counters::Counters;
use super::error::{Misdeed, SendRefused};
use super::id::{Ack, ContentHash, MessageId, Path, Time};
use super::limits::{Limits, MAX_ACKS};
use super::notice::Notice;
use super::output::{Action, GiveUp, Saved, Write};
use super::payload::Draft;
use super::queue::Output;
use super::receive_epochs::AcceptedGrant;
use super::receiving::{OpenedMessage, Receiving};
use super::sending::Sending;
use super::tools::Tools;
use crate::places::Places;
use bytes::Bytes;
use m2_crypto::envelope::{EpochHeader, SESSION_NAME_BYTES};

/// Both directions of the conversation with one peer: sequence numbers, epochs, retries,
/// acknowledgements and order (docs/spec/delivery.md).
///
/// It is sans-IO (docs/spec/delivery.md#the-driver). The driver
///
/// 1. creates it with [`new`](Self::new) from the rows of its store;
/// 2. feeds inputs: [`send`](Self::send), [`give_up`](Self::give_up), the `on_*` functions,
///    [`connected`](Self::connected) and [`disconnected`](Self::disconnected);
/// 3. polls [`poll_write`](Self::poll_write) until it is empty, then
///    [`poll_action`](Self::poll_action) until it is empty. Several inputs may come before that,
///    and the writes of several conversations may share a transaction;
/// 4. commits all those writes in **one transaction**, and performs the actions polled with them
///    only when that transaction **and every earlier one** is on disk. It may continue to feed
///    inputs while a commit is under way, as long as commits happen in order;
/// 5. calls [`on_timeout`](Self::on_timeout) when the time of [`next_timeout`](Self::next_timeout)
///    has come.
///
/// `poll_action` returns nothing while writes are left to poll. If a commit fails, the conversation
/// is ahead of the disk: drop it and its actions, and create it again from the rows. A crash at any
/// point has the same effect.
pub struct Conversation {
    limits: Limits,
    counters: Counters,
    out: Output,
    sending: Sending,
    receiving: Receiving,
}

/// Splits a conversation into one half and the tools for it.
macro_rules! half {
    ($self:ident, $half:ident) => {
        (
            &mut $self.$half,
            &mut Tools {
                limits: &$self.limits,
                out: &mut $self.out,
                counters: &mut $self.counters,
            },
        )
    };
}

impl Conversation {
    /// Creates a conversation from the rows that its earlier [`Write`]s left: [`Saved::default`]
    /// for a new contact. It starts disconnected.
    pub fn new(limits: Limits, mut saved: Saved) -> Self {
        Self {
            limits,
            counters: Counters::default(),
            out: Output::default(),
            sending: Sending::new(&mut saved),
            receiving: Receiving::new(&mut saved),
        }
    }

    /// Adds a message to the outbox: assigns its sequence number and writes its row. `id` must be new: a
    /// fresh random one, or that of an unacknowledged message of an earlier incarnation.
    ///
    /// With a session, the message is sealed for it. That opens an epoch when one is due, which costs one
    /// RSA-4096 signature. Returns the hash that an acknowledgement of the message names. A refusal
    /// leaves the outbox as it was.
    pub fn send(
        &mut self,
        cx: &mut Context<'_>,
        id: MessageId,
        draft: Draft,
    ) -> Result<ContentHash, SendRefused> {
        let (sending, tools) = half!(self, sending);
        sending.send(cx, tools, id, draft)
    }

    /// Returns whether [`send`](Self::send) takes another message: the outbox is bounded.
    pub fn has_room(&self) -> bool {
        self.sending.has_room(&self.limits)
    }

    /// Sends a notice to the peer. Returns false if it was not sent: there is no session on which messages are
    /// offered, or the rate limit of notices is used up. It opens an epoch when one is due, as
    /// [`send`](Self::send) does.
    pub fn notify(&mut self, cx: &mut Context<'_>, notice: Notice) -> bool {
        let (sending, tools) = half!(self, sending);
        sending.notify(cx, tools, notice)
    }

    /// Gives a message up and fills its place with a durable SKIP (docs/spec/delivery.md#skip).
    /// Does nothing if the message is no longer in the outbox or already given up. The recipient
    /// may have it nevertheless; if its acknowledgement says so, the state becomes `Delivered`.
    /// Expiry needs no call: the machine detects it.
    pub fn give_up(&mut self, cx: &mut Context<'_>, id: MessageId, reason: GiveUp) {
        let (sending, tools) = half!(self, sending);
        sending.give_up(cx, tools, &id, reason);
    }

    /// Reports that a session with the peer was established or has replaced the current one. The
    /// first action is [`Action::State`]; everything unacknowledged is offered again, in order,
    /// once [`on_places`](Self::on_places) has brought the peer's own statement.
    pub fn connected(&mut self, cx: &mut Context<'_>, path: Path) {
        self.receiving.connected();
        let (sending, tools) = half!(self, sending);
        sending.connected(cx, tools, path);
    }

    /// Reports that an earlier session serves again, in which the current incarnation was already
    /// stated. Everything unacknowledged is offered again, in order, once the peer's statement is
    /// known: [`on_places_again`](Self::on_places_again).
    pub fn resumed(&mut self, cx: &mut Context<'_>, path: Path) {
        let (sending, tools) = half!(self, sending);
        sending.resumed(cx, tools, path);
    }

    /// Takes the peer's statement of its places, from the session on which messages are offered or
    /// from another one. Statements of earlier sessions must not come after those of later ones.
    pub fn on_places(&mut self, cx: &mut Context<'_>, stated: &Places) {
        let (receiving, tools) = half!(self, receiving);
        let goes_back = receiving.on_places(tools, stated);
        let (sending, tools) = half!(self, sending);
        sending.on_places(cx, tools, stated);
        if goes_back {
            sending.state_again();
        }
    }

    /// Takes the last statement of the peer in the session that serves again. The receiving half
    /// has already processed it; it only lets the sending half offer messages again.
    pub fn on_places_again(&mut self, cx: &mut Context<'_>, stated: &Places) {
        let (sending, tools) = half!(self, sending);
        sending.on_places(cx, tools, stated);
    }

    /// Returns the local incarnation; 0 before the first.
    pub fn incarnation(&self) -> u64 {
        self.sending.incarnation()
    }

    /// Returns this side's statement: the places of both directions. Before the first
    /// [`connected`](Self::connected) there is no incarnation to state.
    pub fn statement(&self) -> Places {
        let mut places = Places {
            following: 0,
            following_epoch: 0,
            expected: 0,
            newest_grant: Bytes::new(),
            incarnation: 0,
            epoch: 0,
            oldest: 1,
            next: 1,
            settled: Vec::new(),
        };
        self.sending.state(&mut places);
        self.receiving.state(&mut places);
        places
    }

    /// Returns this side's statement for a session other than the one on which messages are
    /// offered. Begins an incarnation if there is none.
    pub fn state_on_other_session(&mut self, cx: &mut Context<'_>) -> Places {
        self.letter_place(cx);
        self.statement()
    }

    /// Takes a new incarnation of this conversation and offers everything unacknowledged again in
    /// it, under the old ids: for a store that was restored, or of which two copies are in use.
    pub fn renew(&mut self, cx: &mut Context<'_>) {
        let (sending, tools) = half!(self, sending);
        sending.renew_now(cx, tools);
    }

    /// Starts the conversation again because the two peers become contacts, perhaps not for the
    /// first time: takes a new incarnation and follows none of the peer's, so that no state
    /// remembered by either side matters. Nothing is offered before the next
    /// [`connected`](Self::connected).
    pub fn begin_again(&mut self, cx: &mut Context<'_>) {
        let (receiving, tools) = half!(self, receiving);
        receiving.begin_again(tools);
        let (sending, tools) = half!(self, sending);
        sending.begin_again(cx, tools);
    }

    /// Returns the incarnation in which a letter is sealed, and the oldest place that it names.
    pub fn letter_place(&mut self, cx: &mut Context<'_>) -> (u64, u64) {
        self.sending.letter_place(cx)
    }

    /// Reports that no session with the peer is left. Drops actions that were not polled, and erases the
    /// keys of all epochs.
    pub fn disconnected(&mut self, _cx: &mut Context<'_>) {
        self.sending.disconnected();
        self.receiving.disconnected();
        self.out.drop_actions();
    }

    /// Reports that a session with the peer is over, perhaps one of several, by its name in grants:
    /// erases the keys of the epochs that the peer opened in it.
    pub fn session_over(&mut self, session: &[u8; SESSION_NAME_BYTES]) {
        self.receiving.session_over(session);
    }

    /// Returns whether a grant is worth its RSA operations: new, of acceptable age, and within the
    /// peer's rate limit. If so, run
    /// [`ReceiveEpoch::accept`](m2_crypto::envelope::ReceiveEpoch::accept) off the reactor, and
    /// pass its result with the envelope. If that fails, count it. Then, and if the grant is not wanted,
    /// pass the envelope without a grant. Process the envelopes of one peer sequentially, or the
    /// same grant is paid for twice.
    pub fn wants_grant(&mut self, now: Time, grant: &EpochHeader) -> bool {
        self.receiving.wants_grant(now, &self.limits, grant)
    }

    /// Takes an envelope: its sealed message, and its grant if [`wants_grant`](Self::wants_grant)
    /// returned true and the grant was accepted.
    ///
    /// Errors: [`Misdeed`] if the peer broke a rule.
    pub fn on_envelope(
        &mut self,
        cx: &mut Context<'_>,
        accepted: Option<AcceptedGrant>,
        sealed: &[u8],
    ) -> Result<(), Misdeed> {
        let own_outbox = |id: &MessageId| self.sending.contains(id);
        let (receiving, tools) = half!(self, receiving);
        let result = receiving.on_envelope(cx, tools, accepted, sealed, &own_outbox);
        self.count(result)
    }

    /// Takes the acknowledgements of one frame. Unknown ones are ignored and counted.
    ///
    /// Errors: [`Misdeed::TooManyAcks`] over [`MAX_ACKS`], [`Misdeed::AckMismatch`].
    pub fn on_acks(&mut self, cx: &mut Context<'_>, acks: &[Ack]) -> Result<(), Misdeed> {
        if acks.len() > MAX_ACKS {
            return self.count(Err(Misdeed::TooManyAcks));
        }
        let (sending, tools) = half!(self, sending);
        let result = sending.on_acks(cx, tools, acks);
        self.count(result)
    }

    fn count(&mut self, result: Result<(), Misdeed>) -> Result<(), Misdeed> {
        self.counters.misdeeds += u64::from(result.is_err());
        result
    }

    /// Handles the peer's refusal of an epoch that this side opened: the messages sealed under it
    /// are sealed again, under a new epoch if it was the newest. Refusals open at most one new
    /// epoch per [`Limits::refusal_interval`](super::Limits::refusal_interval).
    pub fn on_epoch_refused(&mut self, cx: &mut Context<'_>, incarnation: u64, epoch: u64) {
        let (sending, tools) = half!(self, sending);
        sending.on_epoch_refused(cx, tools, incarnation, epoch);
    }

    /// Takes a message from a letter that was opened and checked to be new
    /// (docs/spec/letter.md#opening).
    ///
    /// Errors: [`Misdeed`] if the peer broke a rule. The letter is spent in any case.
    pub fn on_letter(
        &mut self,
        cx: &mut Context<'_>,
        letter: OpenedMessage,
    ) -> Result<(), Misdeed> {
        let own_outbox = |id: &MessageId| self.sending.contains(id);
        let (receiving, tools) = half!(self, receiving);
        let result = receiving.on_letter(cx, tools, letter, &own_outbox);
        self.count(result)
    }

    /// Records that a mailbox of the peer holds the message: it waits there, and is still offered
    /// in sessions until the peer acknowledges it.
    pub fn on_deposited(&mut self, _cx: &mut Context<'_>, id: MessageId) {
        let (sending, tools) = half!(self, sending);
        sending.on_deposited(tools, &id);
    }

    /// Handles everything that is due at the current time. Harmless at any time.
    pub fn on_timeout(&mut self, cx: &mut Context<'_>) {
        let (sending, tools) = half!(self, sending);
        sending.on_timeout(cx, tools);
        self.receiving.on_timeout(cx.now, tools);
    }

    /// Returns the next write of the transaction.
    pub fn poll_write(&mut self) -> Option<Write> {
        self.out
            .poll_write()
            .or_else(|| self.sending.take_dirty())
            .or_else(|| self.receiving.take_dirty())
    }

    /// Returns the next action to perform after the transaction, or nothing while writes are left
    /// to poll.
    pub fn poll_action(&mut self) -> Option<Action> {
        if self.out.has_writes() || self.sending.is_dirty() || self.receiving.is_dirty() {
            return None;
        }
        if self.sending.take_statement_due() {
            return Some(Action::State(self.statement()));
        }
        self.out.poll_action()
    }

    /// Returns when to call [`on_timeout`](Self::on_timeout).
    pub fn next_timeout(&self) -> Option<Time> {
        let receiving = self.receiving.next_timeout(&self.limits);
        [self.sending.next_timeout(), receiving]
            .into_iter()
            .flatten()
            .min()
    }

    /// Returns the number of messages in the outbox, which wait for their acknowledgement.
    pub fn pending(&self) -> usize {
        self.sending.pending()
    }

    /// Returns the counters of ignored, refused and repeated inputs.
    pub const fn counters(&self) -> &Counters {
        &self.counters
    }
}
