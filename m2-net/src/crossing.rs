//! Resolves crossed dials: when two peers dial each other at the same moment, one attempt
//! continues, so that the pair spends one session key on each side and not two
//! (docs/spec/obfuscation.md#crossed-calls).
//!
//! Both sides apply the same rule without communicating: a fresh dial goes before one whose first
//! packet was retransmitted, and of two fresh dials the one of the smaller peer id goes first. Only
//! contacts are recognised early enough, by the token of their first packet.

use crate::callers::Call;
use m2_crypto::PeerId;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// How long the local dial goes before one of the peer while it is unanswered: its packets may not
/// be able to arrive. Shorter than the second after which QUIC retransmits a first packet.
const UNANSWERED: Duration = Duration::from_millis(900);
/// How long the local dial goes before one of the peer once the peer has answered it.
const ANSWERED: Duration = Duration::from_secs(5);

/// The pending connection attempts between this daemon and each contact, in both directions.
#[derive(Debug, Default)]
pub(crate) struct Crossing {
    pairs: Mutex<HashMap<PeerId, Pair>>,
    /// Notified when an attempt of a peer was answered.
    ended: Notify,
}

#[derive(Debug, Default)]
struct Pair {
    dials: Vec<Arc<Dial>>,
    /// The number of the peer's attempts that are being answered.
    answers: usize,
}

#[derive(Debug)]
struct Dial {
    since: Instant,
    answered: AtomicBool,
}

/// A pending dial, until this is dropped.
pub(crate) struct Dialling {
    crossing: Arc<Crossing>,
    peer: PeerId,
    dial: Arc<Dial>,
}

/// An attempt of a peer that is being answered, until this is dropped.
pub(crate) struct Answering {
    crossing: Arc<Crossing>,
    peer: PeerId,
}

impl Crossing {
    /// Records a dial of a peer, unless one of its attempts is being answered.
    pub(crate) fn try_dial(self: &Arc<Self>, peer: PeerId, now: Instant) -> Option<Dialling> {
        let mut pairs = self.lock();
        let pair = pairs.entry(peer).or_default();
        (pair.answers == 0).then(|| self.begin(pair, peer, now))
    }

    /// Records a dial of a peer unconditionally.
    pub(crate) fn dial(self: &Arc<Self>, peer: PeerId, now: Instant) -> Dialling {
        self.begin(self.lock().entry(peer).or_default(), peer, now)
    }

    fn begin(self: &Arc<Self>, pair: &mut Pair, peer: PeerId, now: Instant) -> Dialling {
        let dial = Arc::new(Dial {
            since: now,
            answered: AtomicBool::new(false),
        });
        pair.dials.push(Arc::clone(&dial));
        Dialling {
            crossing: Arc::clone(self),
            peer,
            dial,
        }
    }

    /// Records that an attempt of a peer is answered, unless the local dial goes first.
    pub(crate) fn try_answer(
        self: &Arc<Self>,
        own_id: &PeerId,
        call: Call,
        now: Instant,
    ) -> Option<Answering> {
        let peer = call.peer;
        let mut pairs = self.lock();
        let pair = pairs.entry(peer).or_default();
        // A peer that had to retransmit its first packet answers ours, because its own dial is no
        // longer fresh.
        let may_go_first = *own_id < peer || call.is_repeated;
        let goes_first = |dial: &Arc<Dial>| dial.goes_first(may_go_first, now);
        if pair.dials.iter().any(goes_first) {
            return None;
        }
        pair.answers += 1;
        Some(Answering {
            crossing: Arc::clone(self),
            peer,
        })
    }

    /// Returns whether an attempt of a peer is being answered.
    pub(crate) fn is_answering(&self, peer: &PeerId) -> bool {
        self.lock().get(peer).is_some_and(|pair| pair.answers > 0)
    }

    /// Waits until no attempt of a peer is being answered.
    pub(crate) async fn answers_ended(&self, peer: &PeerId) {
        loop {
            // Registered before the check, so that an end in between is not missed.
            let ended = self.ended.notified();
            tokio::pin!(ended);
            ended.as_mut().enable();
            if !self.is_answering(peer) {
                return;
            }
            ended.await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<PeerId, Pair>> {
        // No update under this lock can be interrupted halfway, so a poisoned lock is still
        // consistent.
        self.pairs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn end(&self, peer: &PeerId, change: impl FnOnce(&mut Pair)) {
        let mut pairs = self.lock();
        if let Some(pair) = pairs.get_mut(peer) {
            change(pair);
            if pair.dials.is_empty() && pair.answers == 0 {
                pairs.remove(peer);
            }
        }
    }
}

impl Dial {
    fn goes_first(&self, may_go_first: bool, now: Instant) -> bool {
        let age = now.saturating_duration_since(self.since);
        if self.answered.load(Ordering::Relaxed) {
            age < ANSWERED
        } else {
            may_go_first && age < UNANSWERED
        }
    }
}

impl Dialling {
    /// Returns the callback to run when the peer answers.
    pub(crate) fn on_answer(&self) -> Arc<dyn Fn() + Send + Sync> {
        let dial = Arc::clone(&self.dial);
        Arc::new(move || dial.answered.store(true, Ordering::Relaxed))
    }
}

impl Drop for Dialling {
    fn drop(&mut self) {
        let own = &self.dial;
        self.crossing.end(&self.peer, |pair| {
            pair.dials.retain(|dial| !Arc::ptr_eq(dial, own));
        });
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.crossing.end(&self.peer, |pair| {
            pair.answers = pair.answers.saturating_sub(1);
        });
        self.crossing.ended.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: PeerId = PeerId::from_bytes([1; 32]);
    const LARGE: PeerId = PeerId::from_bytes([2; 32]);

    fn answers(crossing: &Arc<Crossing>, own: PeerId, peer: PeerId, now: Instant) -> bool {
        crossing.try_answer(&own, call(peer, false), now).is_some()
    }

    const fn call(peer: PeerId, is_repeated: bool) -> Call {
        Call { peer, is_repeated }
    }

    #[test]
    fn of_two_fresh_dials_the_one_of_the_smaller_id_goes_first() {
        let (of_small, of_large) = (Arc::<Crossing>::default(), Arc::<Crossing>::default());
        let now = Instant::now();
        let first = of_small.try_dial(LARGE, now).unwrap();
        let _second = of_large.try_dial(SMALL, now).unwrap();
        assert!(!answers(&of_small, SMALL, LARGE, now));
        assert!(answers(&of_large, LARGE, SMALL, now));
        // A dial that can't arrive blocks the peer only briefly.
        assert!(answers(&of_small, SMALL, LARGE, now + UNANSWERED));
        drop(first);
        assert!(answers(&of_small, SMALL, LARGE, now));
        assert!(of_small.lock().is_empty());
    }

    #[test]
    fn a_fresh_dial_goes_before_a_retransmitted_one() {
        // Both peers were dialling unsuccessfully when the other one came back.
        for (own, peer) in [(SMALL, LARGE), (LARGE, SMALL)] {
            let (of_own, of_peer) = (Arc::<Crossing>::default(), Arc::<Crossing>::default());
            let then = Instant::now();
            let now = then + UNANSWERED;
            let _repeated = of_peer.try_dial(own, then).unwrap();
            let _fresh = of_own.try_dial(peer, now).unwrap();
            assert!(of_own.try_answer(&own, call(peer, true), now).is_none());
            assert!(of_peer.try_answer(&peer, call(own, false), now).is_some());
        }
    }

    #[test]
    fn an_answered_dial_goes_first_on_both_sides() {
        let of_large = Arc::<Crossing>::default();
        let now = Instant::now();
        let dialling = of_large.try_dial(SMALL, now).unwrap();
        (dialling.on_answer())();
        assert!(!answers(&of_large, LARGE, SMALL, now + UNANSWERED));
        assert!(answers(&of_large, LARGE, SMALL, now + ANSWERED));
    }

    #[tokio::test]
    async fn a_dial_waits_for_the_end_of_an_answer() {
        let crossing = Arc::<Crossing>::default();
        let now = Instant::now();
        crossing.answers_ended(&SMALL).await;
        let call = call(SMALL, false);
        let answer = || crossing.try_answer(&LARGE, call, now).unwrap();
        let (first, second) = (answer(), answer());
        assert!(crossing.try_dial(SMALL, now).is_none());
        let waiting = {
            let crossing = crossing.clone();
            tokio::spawn(async move { crossing.answers_ended(&SMALL).await })
        };
        drop(first);
        tokio::task::yield_now().await;
        assert!(crossing.is_answering(&SMALL) && !waiting.is_finished());
        drop(second);
        waiting.await.unwrap();
        assert!(crossing.lock().is_empty());
        assert!(crossing.try_dial(SMALL, now).is_some());
    }
}
