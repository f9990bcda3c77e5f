//! What a session on a line remembers of looking for a direct path.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// Bounds what the other side of a line can have us do.
#[derive(Debug, Default)]
pub struct Meets(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// We told our candidates and wait for an answer.
    asked: bool,
    /// When the other side asked last.
    asked_us: Option<Instant>,
}

impl Meets {
    /// We tell our candidates.
    pub fn ask(&self) {
        self.state().asked = true;
    }

    /// An answer came. Says whether one was awaited: each question has one.
    pub fn take_answer(&self) -> bool {
        std::mem::take(&mut self.state().asked)
    }

    /// The other side asks. Says whether it may, which is not sooner than `pause` after the last.
    pub fn may_be_asked(&self, pause: Duration) -> bool {
        let now = Instant::now();
        let mut state = self.state();
        let last = state.asked_us;
        let may = last.is_none_or(|last| now.duration_since(last) >= pause);
        if may {
            state.asked_us = Some(now);
        }
        may
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing is ever half done under this lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn each_question_has_one_answer_and_needs_a_pause() {
        let meets = Meets::default();
        assert!(!meets.take_answer(), "nothing was asked");
        meets.ask();
        assert!(meets.take_answer());
        assert!(!meets.take_answer(), "there is one answer");
        let pause = Duration::from_secs(5);
        assert!(meets.may_be_asked(pause));
        assert!(!meets.may_be_asked(pause));
        tokio::time::advance(pause).await;
        assert!(meets.may_be_asked(pause));
    }
}
