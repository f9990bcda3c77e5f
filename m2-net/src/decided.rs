//! Attempts that were decided a moment ago. A Hello takes two Initial packets, and QUIC forgets an
//! attempt that is ignored or answered with a Retry: the second packet then looks like another
//! attempt (docs/spec/obfuscation.md#calls-under-load).

use m2_crypto::initial::MAX_CID_LEN;
use std::collections::{HashSet, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// How long the packets of a decided attempt are dropped. Shorter than the second after which a Hello
/// is retransmitted, so that an attempt whose Retry was lost, or that was ignored under load, is
/// decided again.
const REMEMBERED: Duration = Duration::from_millis(800);
/// The number of remembered attempts; the oldest are evicted first.
const MAX_ATTEMPTS: usize = 4_096;

/// An attempt as its packets name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Attempt {
    /// The destination id of the first packet.
    pub(crate) original_id: [u8; MAX_CID_LEN],
    /// The address that the packets come from.
    pub(crate) address: SocketAddr,
    /// True if the packets carry the token of a Retry: the rest of an attempt that was answered with
    /// one must not be dropped.
    pub(crate) has_answered_retry: bool,
}

/// The memory of decided attempts.
#[derive(Debug, Default)]
pub(crate) struct Decided {
    attempts: HashSet<Attempt>,
    /// The same, the oldest first.
    order: VecDeque<(Attempt, Instant)>,
}

impl Decided {
    /// Returns whether an attempt was decided a moment ago.
    pub(crate) fn contains(&mut self, attempt: &Attempt, now: Instant) -> bool {
        self.forget_old(now);
        self.attempts.contains(attempt)
    }

    /// Records that an attempt was ignored or answered with a Retry.
    pub(crate) fn insert(&mut self, attempt: Attempt, now: Instant) {
        self.forget_old(now);
        if !self.attempts.insert(attempt) {
            return;
        }
        self.order.push_back((attempt, now));
        if self.order.len() > MAX_ATTEMPTS {
            self.pop();
        }
    }

    fn forget_old(&mut self, now: Instant) {
        let is_old = |at: Instant| now.saturating_duration_since(at) >= REMEMBERED;
        while self.order.front().is_some_and(|(_, at)| is_old(*at)) {
            self.pop();
        }
    }

    fn pop(&mut self) {
        if let Some((attempt, _)) = self.order.pop_front() {
            self.attempts.remove(&attempt);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempt(number: u16) -> Attempt {
        let mut original_id = [0; MAX_CID_LEN];
        original_id[..2].copy_from_slice(&number.to_be_bytes());
        Attempt {
            original_id,
            address: ([127, 0, 0, 1], 4_000).into(),
            has_answered_retry: false,
        }
    }

    #[test]
    fn an_attempt_is_remembered_until_it_is_retransmitted() {
        let (mut decided, begin) = (Decided::default(), Instant::now());
        decided.insert(attempt(1), begin);
        decided.insert(attempt(1), begin + REMEMBERED / 2);
        let last = begin + REMEMBERED - Duration::from_millis(1);
        assert!(decided.contains(&attempt(1), last));
        assert!(!decided.contains(&attempt(2), last));
        assert!(!decided.contains(&attempt(1), begin + REMEMBERED));
        assert!(decided.attempts.is_empty() && decided.order.is_empty());
    }

    #[test]
    fn another_address_or_the_answer_to_a_retry_is_another_attempt() {
        let (mut decided, now) = (Decided::default(), Instant::now());
        decided.insert(attempt(1), now);
        let elsewhere = Attempt {
            address: ([127, 0, 0, 1], 4_001).into(),
            ..attempt(1)
        };
        let answer = Attempt {
            has_answered_retry: true,
            ..attempt(1)
        };
        assert!(!decided.contains(&elsewhere, now) && !decided.contains(&answer, now));
    }

    #[test]
    fn the_memory_is_bounded() {
        let (mut decided, now) = (Decided::default(), Instant::now());
        for number in 0..=MAX_ATTEMPTS as u16 {
            decided.insert(attempt(number), now);
        }
        assert_eq!(decided.attempts.len(), MAX_ATTEMPTS);
        assert!(!decided.contains(&attempt(0), now) && decided.contains(&attempt(1), now));
    }
}
