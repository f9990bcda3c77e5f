//! Direct paths: where this host may be reached, and how two contacts that are connected on a line
//! find a direct path (`docs/spec/reach.md`).

mod asked;
mod candidates;
mod hole_punching;
mod reachability;

pub use candidates::Source;
pub use hole_punching::{HolePuncher, HolePuncherHandle, PunchRequest};
pub use reachability::{Known, NatStatus, Reachability};
