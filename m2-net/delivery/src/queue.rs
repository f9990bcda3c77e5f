//! The queues between inputs and polls.

use super::id::{Ack, MessageId};
use super::limits::MAX_ACKS;
use super::output::{Action, Write};
use bytes::Bytes;
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

    /// Drops the offers of a message that have not been polled, as a SKIP takes its place.
    pub(super) fn drop_offer(&mut self, message: &MessageId) {
        self.actions.retain(
            |action| !matches!(action, Action::Transmit { id: Some(id), .. } if id == message),
        );
    }

    /// Returns the payload of an outbox row that has not been polled.
    pub(super) fn unpolled_payload(&self, message: &MessageId) -> Option<Bytes> {
        self.writes.iter().rev().find_map(|write| match write {
            Write::Outbox { entry, payload } if entry.id == *message => {
                Some(payload.encode().into())
            }
            _ => None,
        })
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
