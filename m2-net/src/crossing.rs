//! Two peers that dial each other at the same moment: one of the two calls goes on, so that the
//! pair spends one session key on each side and not two (docs/spec/obfuscation.md#crossed-calls).
//!
//! Both sides decide by the same rule and without a word: the call of the smaller peer id goes
//! first. Only contacts are known early enough, by the token of their first packet.

use m2_crypto::PeerId;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// How long our call goes before one of the peer while nothing answers it: ours may be one that
/// can't arrive.
const UNANSWERED: Duration = Duration::from_secs(1);
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
    /// Notes that we dial a peer.
    pub(crate) fn dial(self: &Arc<Self>, peer: PeerId, now: Instant) -> Dialling {
        let dial = Arc::new(Dial {
            since: now,
            answered: AtomicBool::new(false),
        });
        let mut pairs = self.lock();
        pairs.entry(peer).or_default().dials.push(Arc::clone(&dial));
        drop(pairs);
        Dialling {
            crossing: Arc::clone(self),
            peer,
            dial,
        }
    }

    /// Notes that we answer a peer's call.
    pub(crate) fn answer(self: &Arc<Self>, peer: PeerId) -> Answering {
        self.lock().entry(peer).or_default().answers += 1;
        Answering {
            crossing: Arc::clone(self),
            peer,
        }
    }

    /// Returns whether our call to `peer` goes before one of its calls that arrives now.
    pub(crate) fn ours_goes_first(&self, own_id: &PeerId, peer: &PeerId, now: Instant) -> bool {
        let pairs = self.lock();
        let dials = pairs.get(peer).map_or(&[][..], |pair| &pair.dials);
        dials.iter().any(|dial| {
            let age = now.saturating_duration_since(dial.since);
            match dial.answered.load(Ordering::Relaxed) {
                true => age < ANSWERED,
                false => own_id < peer && age < UNANSWERED,
            }
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

    #[test]
    fn of_two_fresh_calls_that_of_the_smaller_id_goes_first() {
        let (of_small, of_large) = (Arc::<Crossing>::default(), Arc::<Crossing>::default());
        let now = Instant::now();
        let first = of_small.dial(LARGE, now);
        let _second = of_large.dial(SMALL, now);
        assert!(of_small.ours_goes_first(&SMALL, &LARGE, now));
        assert!(!of_large.ours_goes_first(&LARGE, &SMALL, now));
        // A call that can't arrive keeps nobody out for long.
        assert!(!of_small.ours_goes_first(&SMALL, &LARGE, now + UNANSWERED));
        drop(first);
        assert!(!of_small.ours_goes_first(&SMALL, &LARGE, now));
        assert!(of_small.lock().is_empty());
    }

    #[test]
    fn a_call_that_is_answered_goes_first_on_both_sides() {
        let of_large = Arc::<Crossing>::default();
        let now = Instant::now();
        let dialling = of_large.dial(SMALL, now);
        (dialling.on_answer())();
        assert!(of_large.ours_goes_first(&LARGE, &SMALL, now + UNANSWERED));
        assert!(!of_large.ours_goes_first(&LARGE, &SMALL, now + ANSWERED));
    }

    #[tokio::test]
    async fn a_dial_waits_for_the_end_of_an_answer() {
        let crossing = Arc::<Crossing>::default();
        crossing.answers_ended(&SMALL).await;
        let (first, second) = (crossing.answer(SMALL), crossing.answer(SMALL));
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
    }
}
