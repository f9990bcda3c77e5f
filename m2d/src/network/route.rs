//! How a peer may be reached.

use super::Target;
use crate::config::IpMode;
use crate::store::ContactLine;

/// The ways to a peer (spec §7).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// Which of them may be tried, and in which order. With [`IpMode::LineOnly`] there are no
    /// addresses, and the first hop must be a relay of one's own.
    pub mode: IpMode,
    /// Where the peer itself was reached or is said to be, the latest first.
    pub addresses: Vec<Target>,
    /// Lines on which it may be called, in its order. Their tokens are of days: take that of the
    /// day of the attempt.
    pub lines: Vec<ContactLine>,
    /// A session by one of the ways has just died: none goes far ahead of the others.
    pub one_died: bool,
}
