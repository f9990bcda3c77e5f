//! Where this host may be reached (`docs/spec/reach.md`).

mod candidates;
mod reachability;

pub use candidates::Source;
pub(crate) use candidates::{MAX_CANDIDATES, in_order};
pub use reachability::{Known, NatStatus, Reachability};
