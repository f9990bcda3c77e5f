//! The open batch: the store with its transaction, and the effects that wait for the commit.

use crate::Rng;
use crate::clock::Clock;
use crate::effect::{Effect, LiveEvent, Step};
use crate::refusal::Refusal;
use m2_core::StoreLimits;
use m2_core::dial::Order;
use m2_core::sessions::SessionId;
use m2_crypto::{Circle, Identity, PeerId};
use m2_limits::counters::Counters;
use m2_proto::reason::Reason;
use m2_sqlite::Fault;
use m2_store::{ContactRowId, EventKind, MessageRowId, NewEvent, Store, StoreError};
use m2_wire::{CloseCode, Message};
use std::collections::VecDeque;
use std::sync::Arc;

/// The store, the decisions of the open batch, and what every rule may use: the clock, the identity,
/// randomness, limits and counters.
pub(crate) struct Batch {
    pub(crate) store: Store,
    pub(crate) clock: Arc<Clock>,
    pub(crate) rng: Rng,
    pub(crate) identity: Arc<Identity>,
    pub(crate) own_id: PeerId,
    pub(crate) circle: Circle,
    pub(crate) limits: StoreLimits,
    pub(crate) counters: Arc<Counters>,
    /// The decisions of this batch.
    pub(crate) steps: Vec<Step>,
    /// The effects of batches that are on disk.
    pub(crate) effects: VecDeque<Effect>,
    /// What changed since it was last reported.
    pub(crate) changed: Changed,
    /// Set when this batch must be rolled back, with the reason.
    pub(crate) failed: Option<Refusal>,
    /// Set from a fault of the store until a batch is written again.
    pub(crate) was_failing: bool,
}

/// Desired state that changed and is reported once the batch is on disk.
#[derive(Debug)]
pub(crate) struct Changed {
    /// This daemon's relays, or the lines that should be open at them.
    pub(crate) relays: bool,
    /// This daemon's boxes, or the grants for them.
    pub(crate) boxes: bool,
    /// When a report that failed is tried again, in Unix milliseconds.
    pub(crate) again_ms: u64,
}

impl Default for Changed {
    /// At the start nothing is reported yet.
    fn default() -> Self {
        Self {
            relays: true,
            boxes: true,
            again_ms: u64::MAX,
        }
    }
}

impl Batch {
    /// Returns the time, in Unix milliseconds.
    pub(crate) fn now_ms(&self) -> u64 {
        self.clock.now_ms()
    }

    /// Marks the batch to be rolled back.
    pub(crate) fn fail(&mut self, refusal: Refusal) {
        self.failed.get_or_insert(refusal);
    }

    /// Returns the value. On an error, marks the batch to be rolled back and returns the default.
    pub(crate) fn check<T: Default>(&mut self, result: Result<T, StoreError>) -> T {
        result.unwrap_or_else(|error| {
            tracing::debug!(%error, "a statement failed");
            self.fail(error.into());
            T::default()
        })
    }

    /// Refuses an operation that takes room on a full disk, so that others can still free room.
    pub(crate) fn require_disk(&mut self) -> Result<(), Refusal> {
        match self.store.has_room()? {
            true => Ok(()),
            false => Err(Refusal::new(Reason::DiskFull)),
        }
    }

    /// Adds an effect to those of the batch.
    pub(crate) fn effect(&mut self, effect: Effect) {
        self.steps.push(effect.into());
    }

    /// Closes a session once the batch is on disk. `why` is for the debug log.
    pub(crate) fn close(&mut self, id: SessionId, code: CloseCode, why: &'static str) {
        tracing::debug!(session = id.0, why, "a session must end");
        self.effect(Effect::Close(id, code));
    }

    /// Closes a session whatever becomes of the batch. `why` is for the debug log.
    pub(crate) fn close_anyway(&mut self, id: SessionId, code: CloseCode, why: &'static str) {
        tracing::debug!(session = id.0, why, "a session must end");
        self.effects.push_back(Effect::Close(id, code));
    }

    /// Sends a frame once the batch is on disk.
    pub(crate) fn push_frame(&mut self, id: SessionId, message: Message) {
        self.steps.push(Step::Frame(id, Box::new(message)));
    }

    /// Counts a misdeed of a session's peer once the batch is on disk.
    pub(crate) fn misdeed(&mut self, id: SessionId, reason: &'static str) {
        self.effect(Effect::Misdeed(id, reason));
    }

    /// Closes a session whose peer broke the protocol once the batch is on disk.
    pub(crate) fn violation(&mut self, id: SessionId, reason: &'static str) {
        self.effect(Effect::Violation(id, reason));
    }

    /// Sends the dialer an order once the batch is on disk.
    pub(crate) fn order(&mut self, peer: PeerId, order: Order) {
        self.effect(Effect::Dial(peer, order));
    }

    /// Wakes the task that deposits letters, once the batch is on disk.
    pub(crate) fn wake_depositor(&mut self) {
        self.effect(Effect::WakeDepositor);
    }

    /// Wakes the look-up tasks, once the batch is on disk.
    pub(crate) fn wake_lookup(&mut self) {
        self.effect(Effect::WakeLookup);
    }

    /// Appends an event to the log.
    pub(crate) fn event(
        &mut self,
        kind: EventKind,
        contact: ContactRowId,
        message: Option<MessageRowId>,
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

    /// Drops the steps of a batch that was rolled back, except those that hold in any case: answers,
    /// which are refusals now, the ends of sessions, and what a peer did wrong.
    pub(crate) fn drop_steps(&mut self, refusal: &Refusal) {
        for step in std::mem::take(&mut self.steps) {
            match step {
                Step::Effect(Effect::Answer(held)) => {
                    let refused = held.refused(refusal.clone());
                    self.effects.push_back(Effect::Answer(refused));
                }
                // The session may be in no list any more, so that nothing else would close it.
                Step::Effect(
                    kept @ (Effect::Close(..) | Effect::Misdeed(..) | Effect::Violation(..)),
                ) => self.effects.push_back(kept),
                _ => {}
            }
        }
    }

    /// Records that the batch was written.
    pub(crate) fn note_written(&mut self) {
        if !self.store.is_tight() && !self.was_failing {
            return;
        }
        self.was_failing = false;
        if let Err(error) = self.store.regain_room() {
            tracing::debug!(%error, "the free space in the store is unknown");
        }
    }

    /// Records why the batch failed: what callers, the log and `m2 status` learn of it. Returns the
    /// refusal for its callers.
    pub(crate) fn note_failure(&mut self, refusal: Refusal) -> Refusal {
        let Some(mut fault) = refusal.fault else {
            // The refusal came from a call, not from the store.
            return refusal;
        };
        if fault == Fault::Io && self.store.is_out_of_room() {
            fault = Fault::Full;
        }
        // SQLite also refuses to write once a page has failed its authentication.
        if fault == Fault::ReadOnly && self.store.is_writable() {
            fault = Fault::Damaged;
        }
        if fault == Fault::Full {
            self.store.make_room();
        }
        self.counters.count("STORE_BATCH_FAILED");
        self.store.health().write_failed(fault);
        self.was_failing = true;
        fault.into()
    }
}
