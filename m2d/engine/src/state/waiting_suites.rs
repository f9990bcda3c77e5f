//! The suites of completed handshakes with contacts that are not stored yet.

use m2_crypto::PeerId;
use std::collections::VecDeque;

/// How long a suite may wait, in milliseconds.
const WAIT_MS: u64 = 2_000;
/// How long a suite that could not be stored waits for the next attempt, in milliseconds.
const AFTER_FAILURE_MS: u64 = 60_000;
/// The number of suites that wait at most.
const MAX_WAITING: usize = 64;

/// A suite, and when it must be stored, in Unix milliseconds.
#[derive(Debug, Clone, Copy)]
struct Waiting {
    due_ms: u64,
    peer: PeerId,
    suite: u16,
}

/// Suites that must be stored. Most are stored with their session before they are due: a commit for the suite alone
/// would delay that. A suite stays here until the batch that stores it is on disk.
#[derive(Debug, Default)]
pub(crate) struct WaitingSuites {
    waiting: VecDeque<Waiting>,
    /// The suites that the current batch stores.
    storing: Vec<Waiting>,
}

impl WaitingSuites {
    /// Adds the suite of a handshake that was completed now. Returns one that must be stored at once if too many
    /// wait.
    pub(crate) fn add(&mut self, now_ms: u64, peer: PeerId, suite: u16) -> Option<(PeerId, u16)> {
        let due_ms = now_ms.saturating_add(WAIT_MS);
        self.waiting.push_back(Waiting {
            due_ms,
            peer,
            suite,
        });
        let too_many = self.waiting.len() > MAX_WAITING;
        too_many.then(|| self.take()).flatten()
    }

    /// Returns when the next suite is due, in Unix milliseconds.
    pub(crate) fn due_ms(&self) -> u64 {
        let due = self.waiting.iter().map(|waiting| waiting.due_ms);
        due.min().unwrap_or(u64::MAX)
    }

    /// Returns whether no suite waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Takes the next suite for the current batch if any is due: the oldest first, whether it is due or not.
    pub(crate) fn take_due(&mut self, now_ms: u64) -> Option<(PeerId, u16)> {
        (self.due_ms() <= now_ms).then(|| self.take()).flatten()
    }

    /// Takes the next suite for the current batch.
    pub(crate) fn take(&mut self) -> Option<(PeerId, u16)> {
        let next = self.waiting.pop_front()?;
        self.storing.push(next);
        Some((next.peer, next.suite))
    }

    /// Forgets the suites of the current batch: they are on disk.
    pub(crate) fn stored(&mut self) {
        self.storing.clear();
    }

    /// Keeps the suites of the current batch for a later one, as it could not be written.
    pub(crate) fn not_stored(&mut self, now_ms: u64) {
        let due_ms = now_ms.saturating_add(AFTER_FAILURE_MS);
        let again = self.storing.drain(..);
        self.waiting
            .extend(again.map(|waiting| Waiting { due_ms, ..waiting }));
        self.waiting.truncate(MAX_WAITING);
    }

    /// Puts off the suites that are due, as none can be stored now.
    pub(crate) fn put_off(&mut self, now_ms: u64) {
        let due_ms = now_ms.saturating_add(AFTER_FAILURE_MS);
        for waiting in &mut self.waiting {
            if waiting.due_ms <= now_ms {
                waiting.due_ms = due_ms;
            }
        }
    }

    /// Makes all suites due: the clock was set.
    pub(crate) fn restart(&mut self) {
        for waiting in &mut self.waiting {
            waiting.due_ms = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: PeerId = PeerId::from_bytes([1; 32]);

    #[test]
    fn a_suite_waits_while_it_cannot_be_stored() {
        let mut suites = WaitingSuites::default();
        suites.add(0, PEER, 2);
        assert_eq!(suites.take_due(WAIT_MS - 1), None);
        // The disk is full.
        suites.put_off(WAIT_MS);
        assert_eq!(suites.due_ms(), WAIT_MS + AFTER_FAILURE_MS);
        // The batch is rolled back.
        let due = suites.due_ms();
        assert_eq!(suites.take_due(due), Some((PEER, 2)));
        assert!(suites.is_empty());
        suites.not_stored(due);
        assert_eq!(suites.take_due(due), None);
        assert_eq!(suites.take_due(due + AFTER_FAILURE_MS), Some((PEER, 2)));
        suites.stored();
        suites.not_stored(due);
        assert!(suites.is_empty(), "it is on disk");
    }
}
