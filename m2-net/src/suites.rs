//! The least suite that each peer may use: the highest of its earlier sessions
//! (docs/spec/handshake.md#suites).

use m2_crypto::PeerId;
use m2_crypto::handshake::Suite;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::mpsc;

/// The number of completed sessions that wait for their observer. More are not reported: the next
/// session with the same peer is.
const WAITING: usize = 64;

/// A peer that completed a session with a higher suite than any before, and the number of the suite.
pub type HigherSuite = (PeerId, u16);

/// The least suites of peers. Only for peers that the user chose: entries are not removed before the
/// process ends.
pub struct LeastSuites {
    least: Mutex<HashMap<PeerId, u16>>,
    higher: mpsc::Sender<HigherSuite>,
}

impl LeastSuites {
    /// Returns an empty table, and the receiver of the peers whose suite should be stored.
    pub fn new() -> (Self, mpsc::Receiver<HigherSuite>) {
        let (higher, receiver) = mpsc::channel(WAITING);
        let least = Mutex::default();
        (Self { least, higher }, receiver)
    }

    /// Requires at least this suite of a peer from now on.
    pub fn require(&self, peer: PeerId, suite: u16) {
        let mut all = self.lock();
        let least = all.entry(peer).or_default();
        *least = suite.max(*least);
    }

    /// Returns whether a peer may use a suite.
    pub(crate) fn admits(&self, peer: &PeerId, suite: Suite) -> bool {
        self.of(peer) <= suite.number()
    }

    /// Records that a session with a peer is complete.
    pub(crate) fn completed(&self, peer: &PeerId, suite: Suite) {
        if self.of(peer) < suite.number() {
            // A full queue, or one without an observer, loses the report.
            let _ = self.higher.try_send((*peer, suite.number()));
        }
    }

    fn of(&self, peer: &PeerId) -> u16 {
        self.lock().get(peer).copied().unwrap_or(0)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<PeerId, u16>> {
        // No update under this lock can be interrupted halfway.
        self.least.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for LeastSuites {
    /// Returns an empty table without an observer.
    fn default() -> Self {
        Self::new().0
    }
}

impl fmt::Debug for LeastSuites {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LeastSuites(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: PeerId = PeerId::from_bytes([1; 32]);
    const SUITE: Suite = Suite::NEWEST;

    #[test]
    fn a_completed_session_is_reported_until_its_suite_is_required() {
        let (suites, mut higher) = LeastSuites::new();
        suites.completed(&PEER, SUITE);
        assert_eq!(higher.try_recv(), Ok((PEER, SUITE.number())));
        suites.require(PEER, SUITE.number());
        suites.completed(&PEER, SUITE);
        assert!(higher.try_recv().is_err());
    }

    #[test]
    fn a_lower_suite_than_the_required_one_is_not_admitted() {
        let suites = LeastSuites::default();
        assert!(suites.admits(&PEER, SUITE));
        suites.require(PEER, SUITE.number() + 1);
        suites.require(PEER, SUITE.number());
        assert!(!suites.admits(&PEER, SUITE));
        assert!(suites.admits(&PeerId::from_bytes([2; 32]), SUITE));
    }

    #[test]
    fn reports_without_an_observer_are_bounded() {
        let (suites, mut higher) = LeastSuites::new();
        for number in 0..=u8::MAX {
            suites.completed(&PeerId::from_bytes([number; 32]), SUITE);
        }
        let kept = std::iter::from_fn(|| higher.try_recv().ok()).count();
        assert_eq!(kept, WAITING);
    }
}
