//! A peer that the dialer must reach.

use super::Route;
use super::budget::DialKind;
use tokio::time::Instant;

/// The state of dialling one peer.
pub(super) struct Goal {
    /// The paths to try.
    pub(super) route: Route,
    /// Failed attempts since the peer was last reached.
    pub(super) failures: u32,
    /// When the next attempt is due; `None` while one is running.
    pub(super) next: Option<Instant>,
    /// When the last attempt ended.
    pub(super) ended: Option<Instant>,
    /// True if a message was queued for the peer since the last attempt began.
    pub(super) is_expedited: bool,
    /// True if the last attempt led to a session that the engine has not confirmed yet.
    pub(super) is_reached: bool,
}

impl Goal {
    /// Returns the kind of the next dial, for its rate limit.
    pub(super) const fn kind(&self) -> DialKind {
        match self.failures {
            0 => DialKind::First,
            _ if self.is_expedited => DialKind::First,
            _ => DialKind::Repeated,
        }
    }
}
