//! The daemon's side of lines (`docs/spec/line.md`): listens at its relays, and dials contacts at
//! theirs.

mod call;
mod hops;
mod keeper;
mod listening;
mod relay_sockets;
mod used;

pub use call::LineDialer;
pub use keeper::LineKeeper;
pub use relay_sockets::{OwnRelays, RelaySockets};
