//! The daemon's side of lines (`docs/spec/line.md`): listens at its relays, and dials contacts at
//! theirs.

mod dial;
mod hops;
mod keeper;
mod listening;
mod relay_sockets;
mod used;

pub use dial::LineDialer;
pub use keeper::LineKeeper;
pub use relay_sockets::{OwnRelays, RelaySockets};
