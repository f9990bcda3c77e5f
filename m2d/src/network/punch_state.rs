//! The state of the search for a direct path next to a session on a line.

use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio_util::sync::CancellationToken;

/// Tracks whether a direct path may be looked for and whether an answer is awaited. Initially the
/// search is forbidden.
#[derive(Debug, Default)]
pub struct PunchState(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// Present while the search is allowed. Cancelling it ends the search.
    stop: Option<CancellationToken>,
    /// True while this side looks for a path.
    seeking: bool,
    /// True while this side's candidates are unanswered.
    asked: bool,
}

impl PunchState {
    /// Allows the search for a direct path.
    pub fn allow(&self) {
        self.state().stop.get_or_insert_with(CancellationToken::new);
    }

    /// Forbids the search and ends the running one.
    pub fn forbid(&self) {
        let mut state = self.state();
        if let Some(stop) = state.stop.take() {
            stop.cancel();
        }
        (state.seeking, state.asked) = (false, false);
    }

    /// Returns the token that ends the search; `None` if it is not allowed.
    pub fn stop(&self) -> Option<CancellationToken> {
        self.state().stop.clone()
    }

    /// Starts the search on this side. Returns whether it was not running.
    pub fn seek(&self) -> bool {
        !std::mem::replace(&mut self.state().seeking, true)
    }

    /// Records that this side's candidates were sent.
    pub fn ask(&self) {
        self.state().asked = true;
    }

    /// Takes an answer. Returns whether one was awaited: each request has one answer.
    pub fn take_answer(&self) -> bool {
        std::mem::take(&mut self.state().asked)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No update under this lock is ever left incomplete, so poisoning is ignored.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_question_has_one_answer() {
        let punch_state = PunchState::default();
        assert!(!punch_state.take_answer(), "nothing was asked");
        punch_state.ask();
        assert!(punch_state.take_answer());
        assert!(!punch_state.take_answer(), "there is one answer");
    }

    #[test]
    fn a_forbidden_search_ends_and_may_start_again() {
        let punch_state = PunchState::default();
        assert!(
            punch_state.stop().is_none(),
            "the search is not allowed yet"
        );
        punch_state.allow();
        let stop = punch_state.stop().unwrap();
        assert!(punch_state.seek() && !punch_state.seek(), "once is enough");
        punch_state.allow();
        assert!(!stop.is_cancelled());
        punch_state.ask();
        punch_state.forbid();
        assert!(stop.is_cancelled() && punch_state.stop().is_none());
        assert!(!punch_state.take_answer(), "no answer is awaited any more");
        punch_state.allow();
        assert!(punch_state.seek() && !punch_state.stop().unwrap().is_cancelled());
    }
}
