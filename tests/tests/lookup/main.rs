//! Contacts are found wherever they are (docs/spec/lookup.md).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod crowd;
mod dht;
mod node;
mod observed;
mod overheard;
mod renumbered;
