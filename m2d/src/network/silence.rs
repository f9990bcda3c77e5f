//! Notices early that a peer has gone without a word, as after a kill or when a cable is pulled.
//!
//! QUIC acknowledges frames within milliseconds, and probes with growing pauses while it gets no
//! acknowledgement. When frames and probes leave and nothing comes back for a while, the session
//! is in doubt: its peer is dialled again, and shown as offline. The session stays open, as the
//! path may only be slow, and a peer that can't be dialled has no other.
//!
//! A datagram that comes soon after a frame left need not answer it: the peer may have sent it
//! just before it died. So the watch goes on until nothing was left unanswered for a while.

use super::Link;
use crate::engine::EngineHandle;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

/// How long an answer may take before a session is in doubt.
const PATIENCE: Duration = Duration::from_secs(3);
/// The interval of the looks while an answer is awaited.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Frames that follow another this soon are as good as one: looking costs a lock.
const STEP: Duration = Duration::from_millis(10);

/// What a session shows of its peer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Signs {
    /// Datagrams that came.
    pub(super) heard: u64,
    /// Frames and probes that were sent and that demand an answer.
    pub(super) asked: u64,
}

/// Whether a session's peer answers.
#[derive(Debug, Default)]
pub(super) struct Silence {
    /// Datagrams that had come before the latest frame was sent.
    heard_before: AtomicU64,
    sent: Notify,
    in_doubt: AtomicBool,
}

/// When a frame was last looked at.
#[derive(Debug, Default)]
pub(super) struct LastLook(Option<Instant>);

impl Silence {
    /// A frame is about to be sent after `heard` datagrams came.
    pub(super) fn expect_answer(&self, last: &mut LastLook, heard: impl FnOnce() -> u64) {
        let now = Instant::now();
        if last.0.is_none_or(|last| now.duration_since(last) >= STEP) {
            last.0 = Some(now);
            self.heard_before.store(heard(), Ordering::Relaxed);
            self.sent.notify_one();
        }
    }

    /// Whether what was sent got no answer, and nothing was heard since.
    pub(super) fn is_doubtful(&self, heard: u64) -> bool {
        self.in_doubt.load(Ordering::Relaxed) && self.heard_before() == heard
    }

    /// Tells the engine when the session comes into doubt. Ends when the engine is gone.
    pub(super) async fn watch(&self, link: &Arc<Link>, engine: &EngineHandle) {
        loop {
            self.sent.notified().await;
            let silent = stays_silent(|| link.signs()).await;
            if silent {
                self.heard_before.store(link.heard(), Ordering::Relaxed);
            }
            let known = self.in_doubt.swap(silent, Ordering::Relaxed);
            if !silent || known {
                continue;
            }
            let doubted = link.clone();
            let told = engine.cast(move |engine| engine.on_link_silent(&doubted));
            if told.await.is_err() {
                return;
            }
        }
    }

    fn heard_before(&self) -> u64 {
        self.heard_before.load(Ordering::Relaxed)
    }
}

/// Waits until the frame that is being sent, and all that leaves meanwhile, is answered or
/// overdue. Returns whether it is overdue.
async fn stays_silent(signs: impl Fn() -> Signs) -> bool {
    let mut last = signs();
    let mut since = Instant::now();
    let mut waiting = true;
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let now = signs();
        let asked = now.asked > last.asked;
        if now.heard != last.heard {
            (last, since, waiting) = (now, Instant::now(), false);
        } else if asked && !waiting {
            (since, waiting) = (Instant::now(), true);
        } else if since.elapsed() >= PATIENCE {
            return waiting;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubt_ends_with_the_next_datagram() {
        let silence = Silence::default();
        let mut last = LastLook::default();
        silence.expect_answer(&mut last, || 7);
        assert!(!silence.is_doubtful(7));
        silence.in_doubt.store(true, Ordering::Relaxed);
        assert!(silence.is_doubtful(7));
        assert!(!silence.is_doubtful(8));
    }

    /// A session as its counters show it.
    #[derive(Default)]
    struct Counters {
        heard: AtomicU64,
        asked: AtomicU64,
    }

    impl Counters {
        fn hear(&self) {
            self.heard.fetch_add(1, Ordering::Relaxed);
        }

        fn ask(&self) {
            self.asked.fetch_add(1, Ordering::Relaxed);
        }

        fn signs(&self) -> Signs {
            Signs {
                heard: self.heard.load(Ordering::Relaxed),
                asked: self.asked.load(Ordering::Relaxed),
            }
        }

        /// Asks again and again with growing pauses, as QUIC probes.
        async fn probe(&self) {
            let mut pause = Duration::from_millis(50);
            loop {
                tokio::time::sleep(pause).await;
                self.ask();
                pause *= 2;
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_answered_frame_leaves_no_doubt() {
        let session = Counters::default();
        let answer = async {
            tokio::time::sleep(STEP).await;
            session.hear();
            std::future::pending().await
        };
        tokio::select! {
            silent = stays_silent(|| session.signs()) => assert!(!silent),
            () = answer => {}
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_datagram_from_before_the_peer_died_is_no_answer() {
        let session = Counters::default();
        let late = async {
            tokio::time::sleep(STEP).await;
            session.hear();
            session.probe().await;
        };
        tokio::select! {
            silent = stays_silent(|| session.signs()) => assert!(silent),
            () = late => {}
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_frame_that_is_sent_at_the_end_of_a_quiet_time_has_its_own_patience() {
        let session = Counters::default();
        let later = async {
            tokio::time::sleep(STEP).await;
            session.hear();
            tokio::time::sleep(PATIENCE).await;
            session.ask();
            tokio::time::sleep(PATIENCE / 2).await;
            session.hear();
            std::future::pending().await
        };
        tokio::select! {
            silent = stays_silent(|| session.signs()) => assert!(!silent),
            () = later => {}
        }
    }

    #[tokio::test(start_paused = true)]
    async fn frames_that_follow_without_end_do_not_put_the_doubt_off() {
        let session = Counters::default();
        session.hear();
        let begun = Instant::now();
        let sending = async {
            loop {
                session.ask();
                tokio::time::sleep(STEP).await;
            }
        };
        tokio::select! {
            silent = stays_silent(|| session.signs()) => assert!(silent),
            () = sending => {}
        }
        assert!(begun.elapsed() <= PATIENCE + LOOK_EVERY);
    }
}
