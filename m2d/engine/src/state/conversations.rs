//! What the conversations with all contacts share.

use super::dirty::Dirty;
use m2_core::sessions::SessionId;
use m2_store::ContactRowId;
use std::collections::BTreeSet;

/// Which conversations take a new incarnation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Renewal {
    /// All of them.
    All,
    /// All except one, which has a new one already.
    AllBut(ContactRowId),
}

impl Renewal {
    /// Returns the contact whose conversation keeps its incarnation.
    pub(crate) const fn exception(self) -> Option<ContactRowId> {
        match self {
            Self::All => None,
            Self::AllBut(row) => Some(row),
        }
    }
}

/// Timers and unwritten rows of all conversations.
#[derive(Default)]
pub(crate) struct Conversations {
    /// Rows that change with every message.
    pub(crate) dirty: Dirty,
    /// When conversations have timed work, in Unix milliseconds, by contact row.
    pub(crate) timers: BTreeSet<(u64, ContactRowId)>,
    /// The session whose envelope is processed, on which it is acknowledged.
    pub(crate) answering: Option<SessionId>,
    /// Set when conversations must take new incarnations.
    pub(crate) renewal: Option<Renewal>,
}

impl Conversations {
    /// Removes the timers that are due, and returns their contacts. A timer that is set again for a time in
    /// the past is due in the next batch: so no conversation keeps the engine in one batch.
    pub(crate) fn take_due(&mut self, now: u64) -> Vec<ContactRowId> {
        let mut due = Vec::new();
        while let Some(first) = self.timers.first().copied().filter(|(at, _)| *at <= now) {
            self.timers.remove(&first);
            due.push(first.1);
        }
        due
    }

    /// Drops what belongs to a batch that is rolled back.
    pub(crate) fn roll_back(&mut self) {
        self.dirty.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timer_that_is_set_again_for_the_past_waits_for_the_next_batch() {
        let mut conversations = Conversations::default();
        let row = ContactRowId::default();
        conversations.timers.insert((5, row));
        let mut runs = 0;
        for row in conversations.take_due(10) {
            conversations.timers.insert((5, row));
            runs += 1;
        }
        assert_eq!((runs, conversations.take_due(4)), (1, Vec::new()));
        assert_eq!(conversations.take_due(10), [row]);
    }
}
