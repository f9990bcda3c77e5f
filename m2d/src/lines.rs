//! The daemon's side of lines (`docs/spec/line.md`): listens at its relays, and dials contacts at
//! theirs.

mod call;
mod hops;
mod keeper;
mod listening;
mod outside;
mod used;

pub use call::LineCaller;
pub use keeper::LineKeeper;
pub use outside::{Outside, OwnRelays};
