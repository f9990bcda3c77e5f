//! Detects early that a peer has disappeared without a close, as after a kill or when a cable is
//! pulled.
//!
//! QUIC acknowledges frames within milliseconds, and sends probes with growing pauses while it gets
//! no acknowledgement. When frames and probes leave and nothing is received for a while, the
//! session is in doubt: the peer is dialled again and shown as offline. The session stays open, as
//! the path may only be slow, and a peer that cannot be dialled has no other.
//!
//! A datagram received soon after a frame was sent need not answer it: the peer may have sent it
//! before it died. So the watch continues until no frame has been unanswered for a while.

use super::Link;
use crate::driver::EngineHandle;
use m2_engine::SessionInput;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

/// How long an answer may take before a session is in doubt.
const PATIENCE: Duration = Duration::from_secs(3);
/// The check interval while an answer is awaited.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Frames within this time of another are treated as one, as each check costs a lock.
const STEP_MS: u64 = 10;

/// The counters that show whether a peer is alive.
#[derive(Debug, Clone, Copy)]
pub(super) struct Signs {
    /// Datagrams received.
    pub(super) heard: u64,
    /// Frames and probes sent that demand an answer.
    pub(super) asked: u64,
}

/// Tracks whether a session's peer answers.
#[derive(Debug, Default)]
pub(super) struct Silence {
    /// Datagrams received before the latest frame was sent, and what demanded an answer before it.
    heard_before: AtomicU64,
    asked_before: AtomicU64,
    /// When the last frame was taken into account, in milliseconds after the session's start, plus
    /// one.
    looked_ms: AtomicU64,
    sent: Notify,
}

impl Silence {
    /// Records that a frame is sent, with the signs before it, in a session that began at `since`.
    pub(super) fn expect_answer(&self, since: std::time::Instant, signs: impl FnOnce() -> Signs) {
        let now_ms = u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX);
        let looked_ms = self.looked_ms.load(Ordering::Relaxed);
        if looked_ms == 0 || now_ms >= looked_ms - 1 + STEP_MS {
            let now_ms = now_ms.saturating_add(1);
            self.looked_ms.store(now_ms, Ordering::Relaxed);
            let before = signs();
            self.heard_before.store(before.heard, Ordering::Relaxed);
            self.asked_before.store(before.asked, Ordering::Relaxed);
            self.sent.notify_one();
        }
    }

    /// Tells the engine when the session comes into doubt, and when a datagram ends the doubt. Returns
    /// only when the engine is gone.
    pub(super) async fn watch(&self, link: &Arc<Link>, engine: &EngineHandle) {
        loop {
            self.sent.notified().await;
            let before = Signs {
                heard: self.heard_before(),
                asked: self.asked_before.load(Ordering::Relaxed),
            };
            if !stays_silent(before, || link.signs()).await {
                continue;
            }
            let heard = link.heard();
            if engine.cast(SessionInput::Silent(link.id)).await.is_err() {
                return;
            }
            until_heard(heard, || link.heard()).await;
            if engine.cast(SessionInput::Heard(link.id)).await.is_err() {
                return;
            }
        }
    }

    fn heard_before(&self) -> u64 {
        self.heard_before.load(Ordering::Relaxed)
    }
}

/// Waits until more datagrams than `before` were received.
async fn until_heard(before: u64, heard: impl Fn() -> u64) {
    while heard() == before {
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Waits until the current frame, and all that follow in the meantime, are answered or overdue. A
/// frame that does not leave, because the peer takes no more data, demands no answer. `last` are the
/// signs before the frame. Returns whether an answer is overdue.
async fn stays_silent(mut last: Signs, signs: impl Fn() -> Signs) -> bool {
    let mut since = Instant::now();
    let mut waiting = false;
    let mut is_first = true;
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let begun = if std::mem::take(&mut is_first) {
            since
        } else {
            Instant::now()
        };
        let now = signs();
        let asked = now.asked > last.asked;
        if now.heard != last.heard {
            (last, since, waiting) = (now, Instant::now(), false);
        } else if asked && !waiting {
            (since, waiting) = (begun, true);
        } else if since.elapsed() >= PATIENCE {
            return waiting;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn doubt_ends_with_the_next_datagram() {
        let heard = AtomicU64::new(7);
        let answers = async {
            tokio::time::sleep(10 * PATIENCE).await;
            heard.store(8, Ordering::Relaxed);
            Instant::now()
        };
        let noticed = async {
            until_heard(7, || heard.load(Ordering::Relaxed)).await;
            Instant::now()
        };
        let (answered, noticed) = tokio::join!(answers, noticed);
        assert!(noticed.duration_since(answered) <= LOOK_EVERY);
    }

    /// A simulated session's counters.
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

        /// Sends probes with growing pauses, as QUIC does.
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
            tokio::time::sleep(Duration::from_millis(STEP_MS)).await;
            session.hear();
            std::future::pending().await
        };
        tokio::select! {
            silent = stays_silent(session.signs(), || session.signs()) => assert!(!silent),
            () = answer => {}
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_datagram_from_before_the_peer_died_is_no_answer() {
        let session = Counters::default();
        let late = async {
            tokio::time::sleep(Duration::from_millis(STEP_MS)).await;
            session.hear();
            session.probe().await;
        };
        tokio::select! {
            silent = stays_silent(session.signs(), || session.signs()) => assert!(silent),
            () = late => {}
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_frame_sent_late_in_a_quiet_period_gets_the_full_timeout() {
        let session = Counters::default();
        let later = async {
            tokio::time::sleep(Duration::from_millis(STEP_MS)).await;
            session.hear();
            tokio::time::sleep(PATIENCE).await;
            session.ask();
            tokio::time::sleep(PATIENCE / 2).await;
            session.hear();
            std::future::pending().await
        };
        tokio::select! {
            silent = stays_silent(session.signs(), || session.signs()) => assert!(!silent),
            () = later => {}
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_steady_stream_of_frames_does_not_defer_the_doubt() {
        let session = Counters::default();
        session.hear();
        let begun = Instant::now();
        let sending = async {
            loop {
                session.ask();
                tokio::time::sleep(Duration::from_millis(STEP_MS)).await;
            }
        };
        tokio::select! {
            silent = stays_silent(session.signs(), || session.signs()) => assert!(silent),
            () = sending => {}
        }
        assert!(begun.elapsed() <= PATIENCE + LOOK_EVERY);
    }

    #[tokio::test(start_paused = true)]
    async fn a_frame_that_the_peer_has_no_room_for_leaves_no_doubt() {
        let session = Counters::default();
        session.ask();
        session.hear();
        assert!(!stays_silent(session.signs(), || session.signs()).await);
    }

    #[tokio::test(start_paused = true)]
    async fn a_frame_that_left_before_the_first_look_is_noticed_in_time() {
        let session = Counters::default();
        let before = session.signs();
        session.ask();
        let begun = Instant::now();
        assert!(stays_silent(before, || session.signs()).await);
        assert!(begun.elapsed() <= PATIENCE + LOOK_EVERY);
    }
}
