//! Helpers for the tests of relays, on top of those for endpoints.
#![allow(dead_code, unreachable_pub)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

#[path = "../../../tests/common/mod.rs"]
mod net;

pub mod hostile;
pub mod relay;

pub use net::*;
