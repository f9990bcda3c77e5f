//! Two peers that dial each other at the same moment: one of the two calls goes on, so that the
//! pair spends one session key on each side and not two (docs/spec/obfuscation.md#crossed-calls).
//!
//! Both sides decide by the same rule and without a word: a fresh call goes before one that had to
//! be repeated, and of two fresh ones that of the smaller peer id. Only contacts are known early enough, by the token of their first packet.

use crate::callers::Call;
use m2_crypto::PeerId;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// How long our call goes before one of the peer while nothing answers it: ours may be one that
/// can't arrive. Shorter than the second after which QUIC repeats a call.
const UNANSWERED: Duration = Duration::from_millis(900);
/// The same once the peer answers it.
const ANSWERED: Duration = Duration::from_secs(5);

/// The calls under way between us and each contact, in both directions.
#[derive(Debug, Default)]
pub(crate) struct Crossing {
    pairs: Mutex<HashMap<PeerId, Pair>>,
    /// An answer came to its end.
    ended: Notify,
}

#[derive(Debug, Default)]
struct Pair {
    dials: Vec<Arc<Dial>>,
    /// How many of its calls we are answering.
    answers: usize,
}

#[derive(Debug)]
struct Dial {
    since: Instant,
    answered: AtomicBool,
}

/// A call of ours, until this is dropped.
pub(crate) struct Dialling {
    crossing: Arc<Crossing>,
    peer: PeerId,
    dial: Arc<Dial>,
}

/// A call of a peer that we answer, until this is dropped.
pub(crate) struct Answering {
    crossing: Arc<Crossing>,
    peer: PeerId,
}

impl Crossing {
    /// Notes that we dial a peer, unless one of its calls is being answered.
    pub(crate) fn try_dial(self: &Arc<Self>, peer: PeerId, now: Instant) -> Option<Dialling> {
        let mut pairs = self.lock();
        let pair = pairs.entry(peer).or_default();
        (pair.answers == 0).then(|| self.begin(pair, peer, now))
    }

    /// Notes that we dial a peer, whatever it does.
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

    /// Notes that we answer a peer's call that arrives now, unless our own call goes first.
    pub(crate) fn try_answer(
        self: &Arc<Self>,
        own_id: &PeerId,
        call: Call,
        now: Instant,
    ) -> Option<Answering> {
        let peer = call.peer;
        let mut pairs = self.lock();
        let pair = pairs.entry(peer).or_default();
        // A peer whose call is repeated answers ours: its own is no fresh one any more.
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

    /// Returns whether a peer's call is being answered.
    pub(crate) fn is_answering(&self, peer: &PeerId) -> bool {
        self.lock().get(peer).is_some_and(|pair| pair.answers > 0)
    }

    /// Waits until no call of a peer is being answered.
    pub(crate) async fn answers_ended(&self, peer: &PeerId) {
        loop {
            // Registered before the look, so that an end in between is not missed.
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
        // Nothing is ever half done under this lock.
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
    /// Returns what is to be done when the peer answers.
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
#[allow(clippy::unwrap_used)]
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
    fn of_two_fresh_calls_that_of_the_smaller_id_goes_first() {
        let (of_small, of_large) = (Arc::<Crossing>::default(), Arc::<Crossing>::default());
        let now = Instant::now();
        let first = of_small.try_dial(LARGE, now).unwrap();
        let _second = of_large.try_dial(SMALL, now).unwrap();
        assert!(!answers(&of_small, SMALL, LARGE, now));
        assert!(answers(&of_large, LARGE, SMALL, now));
        // A call that can't arrive does not keep the peer out for long.
        assert!(answers(&of_small, SMALL, LARGE, now + UNANSWERED));
        drop(first);
        assert!(answers(&of_small, SMALL, LARGE, now));
        assert!(of_small.lock().is_empty());
    }

    #[test]
    fn a_fresh_call_goes_before_a_repeated_one() {
        // Both peers were calling in vain when the other one came back.
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
    fn a_call_that_is_answered_goes_first_on_both_sides() {
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
