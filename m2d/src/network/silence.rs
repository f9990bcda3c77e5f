//! Notices early that a peer has gone without a word, as after a kill or when a cable is pulled.
//!
//! QUIC acknowledges what arrives within milliseconds. When frames were sent and nothing at all
//! came back for a while, the session is in doubt: its peer is called anew beside it, and shown
//! as offline. The session stays, as the path may only be slow, and a peer that can't be called
//! has no other.

use super::Link;
use crate::engine::EngineHandle;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

/// How long an answer may take before a session is in doubt.
const PATIENCE: Duration = Duration::from_secs(3);
/// How often it is looked while an answer is awaited.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Frames that follow another this soon are as good as one: looking costs a lock.
const STEP: Duration = Duration::from_millis(10);

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
            let silent = self.stays_silent(|| link.heard()).await;
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

    /// Waits for an answer to the latest frame, however many follow it. Says whether none came.
    async fn stays_silent(&self, heard: impl Fn() -> u64) -> bool {
        let (mut last, mut since) = (heard(), Instant::now());
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let now = heard();
            if now > self.heard_before() {
                return false;
            }
            if now != last {
                (last, since) = (now, Instant::now());
            } else if since.elapsed() >= PATIENCE {
                return true;
            }
        }
    }

    fn heard_before(&self) -> u64 {
        self.heard_before.load(Ordering::Relaxed)
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

    #[tokio::test(start_paused = true)]
    async fn who_sends_without_end_learns_as_soon_that_nobody_answers() {
        let (silence, heard) = (Silence::default(), AtomicU64::new(1));
        let count = || heard.load(Ordering::Relaxed);
        let mut last = LastLook::default();
        silence.expect_answer(&mut last, count);
        heard.store(2, Ordering::Relaxed);
        assert!(!silence.stays_silent(count).await, "it was answered");
        // The path dies while frames are on their way; more and more follow.
        let begun = Instant::now();
        let sending = async {
            loop {
                silence.expect_answer(&mut last, count);
                tokio::time::sleep(STEP).await;
            }
        };
        tokio::select! {
            silent = silence.stays_silent(count) => assert!(silent),
            () = sending => {}
        }
        assert!(begun.elapsed() <= PATIENCE + LOOK_EVERY);
    }
}
