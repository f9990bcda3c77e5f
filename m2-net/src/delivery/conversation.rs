//! The state machine of one conversation.

use super::context::Context;
use super::counters::Counters;
use super::error::{Misbehaved, SendRefused};
use super::id::{Ack, MessageId, Path, Time};
use super::limits::Limits;
use super::output::{Action, GiveUp, Saved, Write};
use super::payload::Draft;
use m2_crypto::envelope::{EpochHeader, ReceiveEpoch};

/// The most acknowledgements of one frame.
pub const MAX_ACKS: usize = 1_024;

/// Both directions of the conversation with one peer: sequence numbers, epochs, retries,
/// acknowledgements and order (spec §5, §6).
///
/// It is sans-IO. The driver
///
/// 1. makes it with [`new`](Self::new) from the rows of its store;
/// 2. feeds inputs: [`send`](Self::send), [`give_up`](Self::give_up), the `on_*` functions,
///    [`connected`](Self::connected) and [`disconnected`](Self::disconnected);
/// 3. polls [`poll_write`](Self::poll_write) until it is empty, then
///    [`poll_action`](Self::poll_action) until it is empty. Several inputs may come before that,
///    and the writes of several conversations may share a transaction;
/// 4. commits all those writes in **one transaction**, and performs the actions polled with
///    them only when that transaction **and every earlier one** is on disk. It may go on feeding
///    inputs while a commit is under way, as long as commits happen in order;
/// 5. calls [`on_timeout`](Self::on_timeout) when [`next_timeout`](Self::next_timeout) has come.
///
/// `poll_action` gives nothing while writes are left to poll. If a commit fails, the
/// conversation is ahead of the disk: drop it and its actions, and make it again from the rows.
/// A crash at any point is the same as that.
pub struct Conversation {
    limits: Limits,
    counters: Counters,
}

impl Conversation {
    /// A conversation from what its earlier [`Write`]s left: [`Saved::default`] for a new
    /// contact. It begins disconnected. Rows whose secrets don't parse are treated as absent;
    /// the protocol then makes new epochs.
    pub fn new(limits: Limits, _saved: Saved) -> Self {
        Self {
            limits,
            counters: Counters::default(),
        }
    }

    /// Puts a message in the outbox: sequence number, sealing, row. `id` must be new: fresh
    /// random, or that of a message of an earlier incarnation that was not yet acknowledged.
    ///
    /// Opens an epoch when one is due, which costs one RSA-4096 signature.
    pub fn send(
        &mut self,
        _cx: &mut Context<'_>,
        _id: MessageId,
        _draft: Draft,
    ) -> Result<(), SendRefused> {
        Err(SendRefused::OutboxFull)
    }

    /// Gives a message up: its place is taken by a durable SKIP (spec §6). Does nothing if the
    /// message is no longer in the outbox or already given up. The recipient may have it
    /// nevertheless; if its acknowledgement says so, the state becomes `Delivered`. Expiry is
    /// noticed by the machine itself.
    pub fn give_up(&mut self, _cx: &mut Context<'_>, _id: MessageId, _reason: GiveUp) {}

    /// A session with the peer stands, or another one took its place: everything unacknowledged
    /// is offered again, in order.
    pub fn connected(&mut self, _cx: &mut Context<'_>, _path: Path) {}

    /// No session with the peer is left.
    pub fn disconnected(&mut self, _cx: &mut Context<'_>) {}

    /// Whether a grant is worth its RSA operations: new, not too old, and within what one peer
    /// may cost in a minute. If so, run [`ReceiveEpoch::accept`] off the reactor, and give its
    /// result with the envelope; if that fails, drop the envelope and count it. If not, give the
    /// envelope without a grant.
    pub fn wants_grant(&mut self, _now: Time, _grant: &EpochHeader) -> bool {
        false
    }

    /// An envelope came: its sealed message, and its grant if [`wants_grant`](Self::wants_grant)
    /// said so and it was accepted.
    pub fn on_envelope(
        &mut self,
        _cx: &mut Context<'_>,
        _accepted: Option<ReceiveEpoch>,
        _sealed: &[u8],
    ) -> Result<(), Misbehaved> {
        Ok(())
    }

    /// Acknowledgements came, those of one frame. Unknown ones are ignored and counted.
    pub fn on_acks(&mut self, _cx: &mut Context<'_>, _acks: &[Ack]) -> Result<(), Misbehaved> {
        Ok(())
    }

    /// The peer can't open an epoch of ours.
    pub fn on_epoch_refused(&mut self, _cx: &mut Context<'_>, _incarnation: u64, _epoch: u64) {}

    /// The answer to [`Action::LoadPayload`]: the payload of the outbox row. Without one (the
    /// row is gone) don't answer.
    pub fn on_payload(&mut self, _cx: &mut Context<'_>, _id: MessageId, _payload: &[u8]) {}

    /// Time has come. Harmless at any time.
    pub fn on_timeout(&mut self, _cx: &mut Context<'_>) {}

    /// The next write of the transaction.
    pub fn poll_write(&mut self) -> Option<Write> {
        None
    }

    /// The next action to perform after the transaction.
    pub fn poll_action(&mut self) -> Option<Action> {
        None
    }

    /// When to call [`on_timeout`](Self::on_timeout).
    pub fn next_timeout(&self) -> Option<Time> {
        None
    }

    /// What was ignored, refused and repeated so far.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }
}
