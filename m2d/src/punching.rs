//! Hole punching: how two contacts that are connected on a line find a direct path
//! (`docs/spec/reach.md#meeting`).

mod asked;
mod hole_punching;

pub use hole_punching::{HolePuncher, HolePuncherHandle, PunchRequest};
