//! Our side of lines (spec §7): listening at our relays, and calling contacts at theirs.

mod call;
mod hops;
mod keeper;
mod listening;
mod outside;
mod used;

pub use call::LineCaller;
pub use keeper::LineKeeper;
pub use outside::{Outside, OwnRelays};
