//! A peer that the dialer has to reach.

use super::Route;
use super::budget::CallKind;
use tokio::time::Instant;

/// A peer that is to be reached.
pub(super) struct Goal {
    /// The ways to it.
    pub(super) route: Route,
    /// Attempts in vain since it was last reached.
    pub(super) failures: u32,
    /// When the next attempt is due; none while one is under way.
    pub(super) next: Option<Instant>,
    /// When the last attempt ended.
    pub(super) ended: Option<Instant>,
    /// Something waits for it since that attempt.
    pub(super) is_hurried: bool,
    /// The last attempt led to a session, of which the engine has said nothing yet.
    pub(super) is_reached: bool,
}

impl Goal {
    /// Returns what the next attempt is for the budget.
    pub(super) const fn kind(&self) -> CallKind {
        match self.failures {
            0 => CallKind::First,
            _ if self.is_hurried => CallKind::First,
            _ => CallKind::Repeated,
        }
    }
}
