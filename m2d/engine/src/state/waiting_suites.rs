//! The suites of completed handshakes that are not stored yet.

use m2_crypto::PeerId;
use std::collections::VecDeque;

/// How long a suite may wait, in milliseconds.
const WAIT_MS: u64 = 2_000;
/// The number of suites that wait at most.
const MAX_WAITING: usize = 64;

/// Suites in the order in which they must be stored. Most are stored with their session before they are due: a commit
/// for the suite alone would delay that.
#[derive(Debug, Default)]
pub(crate) struct WaitingSuites(VecDeque<(u64, PeerId, u16)>);

impl WaitingSuites {
    /// Adds the suite of a handshake that was completed now. Returns one that must be stored at once if too many
    /// wait.
    pub(crate) fn add(&mut self, now_ms: u64, peer: PeerId, suite: u16) -> Option<(PeerId, u16)> {
        let due_ms = now_ms.saturating_add(WAIT_MS);
        self.0.push_back((due_ms, peer, suite));
        let too_many = self.0.len() > MAX_WAITING;
        too_many.then(|| self.take()).flatten()
    }

    /// Returns when the next suite is due, in Unix milliseconds.
    pub(crate) fn due_ms(&self) -> u64 {
        self.0.front().map_or(u64::MAX, |(due_ms, ..)| *due_ms)
    }

    /// Removes a suite that is due.
    pub(crate) fn take_due(&mut self, now_ms: u64) -> Option<(PeerId, u16)> {
        (self.due_ms() <= now_ms).then(|| self.take()).flatten()
    }

    fn take(&mut self) -> Option<(PeerId, u16)> {
        self.0.pop_front().map(|(_, peer, suite)| (peer, suite))
    }
}
