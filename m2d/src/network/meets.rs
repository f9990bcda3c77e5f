//! What a session on a line remembers of looking for a direct path.

use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio_util::sync::CancellationToken;

/// Whether a direct path may be looked for, and which answers are awaited. At first none may be.
#[derive(Debug, Default)]
pub struct Meets(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// There while a path may be looked for. It ends all that looks for one.
    stop: Option<CancellationToken>,
    /// We look for one.
    seeking: bool,
    /// We told our candidates and wait for an answer.
    asked: bool,
    /// The contact told where it sees us.
    told: bool,
}

impl Meets {
    /// A direct path may be looked for.
    pub fn allow(&self) {
        self.state().stop.get_or_insert_with(CancellationToken::new);
    }

    /// None may be looked for any more: what is about it ends.
    pub fn forbid(&self) {
        let mut state = self.state();
        if let Some(stop) = state.stop.take() {
            stop.cancel();
        }
        (state.seeking, state.asked) = (false, false);
    }

    /// What ends the look for a path; none if there may be no such look.
    pub fn stop(&self) -> Option<CancellationToken> {
        self.state().stop.clone()
    }

    /// The contact tells where it sees us. Says whether it did not do so before in this session.
    pub fn hear_observed(&self) -> bool {
        !std::mem::replace(&mut self.state().told, true)
    }

    /// We look for a path from now on. Says whether we did not do so before.
    pub fn seek(&self) -> bool {
        !std::mem::replace(&mut self.state().seeking, true)
    }

    /// We tell our candidates.
    pub fn ask(&self) {
        self.state().asked = true;
    }

    /// An answer came. Says whether one was awaited: each question has one.
    pub fn take_answer(&self) -> bool {
        std::mem::take(&mut self.state().asked)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing is ever half done under this lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn each_question_has_one_answer() {
        let meets = Meets::default();
        assert!(!meets.take_answer(), "nothing was asked");
        meets.ask();
        assert!(meets.take_answer());
        assert!(!meets.take_answer(), "there is one answer");
    }

    #[test]
    fn where_we_are_seen_is_heard_once() {
        let meets = Meets::default();
        assert!(meets.hear_observed());
        assert!(!meets.hear_observed());
    }

    #[test]
    fn what_is_forbidden_ends_and_may_begin_anew() {
        let meets = Meets::default();
        assert!(meets.stop().is_none(), "nobody has allowed it");
        meets.allow();
        let stop = meets.stop().unwrap();
        assert!(meets.seek() && !meets.seek(), "once is enough");
        meets.allow();
        assert!(!stop.is_cancelled());
        meets.ask();
        meets.forbid();
        assert!(stop.is_cancelled() && meets.stop().is_none());
        assert!(!meets.take_answer(), "no answer is awaited any more");
        meets.allow();
        assert!(meets.seek() && !meets.stop().unwrap().is_cancelled());
    }
}
