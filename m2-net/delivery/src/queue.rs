//! The queues between inputs and polls.

use super::id::{Ack, MessageId};
use super::limits::MAX_ACKS;
use super::output::{Action, Write};
use std::collections::VecDeque;

/// Writes and actions that have not been polled yet.
#[derive(Default)]
pub(super) struct Output {
    writes: VecDeque<Write>,
    actions: VecDeque<Action>,
    acks: VecDeque<Ack>,
}

impl Output {
    pub(super) fn write(&mut self, write: Write) {
        self.writes.push_back(write);
    }

    pub(super) fn act(&mut self, action: Action) {
        self.actions.push_back(action);
    }

    pub(super) fn acknowledge(&mut self, ack: Ack) {
        self.acks.push_back(ack);
    }

    /// Drops all queued actions and acknowledgements, because no session is left to send them on.
    pub(super) fn drop_actions(&mut self) {
        self.actions.clear();
        self.acks.clear();
    }

    /// Drops the offers that have not been polled: their messages must be sealed again.
    pub(super) fn drop_offers(&mut self) {
        self.actions
            .retain(|action| !matches!(action, Action::Transmit { .. }));
    }

    /// Makes queued offers of a message read its row, which is about to change.
    pub(super) fn forget_sealed(&mut self, message: &MessageId) {
        for action in &mut self.actions {
            if let Action::Transmit { id, sealed, .. } = action
                && id == message
            {
                *sealed = None;
            }
        }
    }

    pub(super) fn poll_write(&mut self) -> Option<Write> {
        self.writes.pop_front()
    }

    pub(super) fn has_writes(&self) -> bool {
        !self.writes.is_empty()
    }

    pub(super) fn poll_action(&mut self) -> Option<Action> {
        if let Some(action) = self.actions.pop_front() {
            return Some(action);
        }
        let count = self.acks.len().min(MAX_ACKS);
        (count > 0).then(|| Action::Acknowledge(self.acks.drain(..count).collect()))
    }
}
