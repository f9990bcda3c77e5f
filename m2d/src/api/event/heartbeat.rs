//! When a stream says that it is caught up.

use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// When a stream says that it is caught up.
pub(super) struct Heartbeat {
    every: Option<Duration>,
    /// When it says so next; `None` for as soon as it is.
    next: Option<Instant>,
}

impl Heartbeat {
    /// Returns the heartbeat with an interval, or none.
    pub(super) const fn new(every: Option<Duration>) -> Self {
        Self { every, next: None }
    }

    /// Returns whether a stream that is caught up says so at `now`.
    pub(super) fn beats(&mut self, now: Instant) -> bool {
        let Some(every) = self.every else {
            return false;
        };
        if self.next.is_some_and(|next| next > now) {
            return false;
        }
        self.next = Some(now + every);
        true
    }

    /// Waits until it is time again.
    pub(super) async fn due(&self) {
        match self.next {
            Some(next) => sleep_until(next).await,
            None => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_heartbeat_comes_at_once_and_then_at_its_interval() {
        let every = Duration::from_secs(5);
        let mut heartbeat = Heartbeat::new(Some(every));
        let start = Instant::now();
        assert!(heartbeat.beats(start));
        assert!(!heartbeat.beats(start + every / 2));
        heartbeat.due().await;
        assert_eq!(start.elapsed(), every);
        assert!(heartbeat.beats(Instant::now()));
        assert!(!Heartbeat::new(None).beats(start));
    }
}
