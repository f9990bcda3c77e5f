//! Peers that keep no rule: refused, bounded, counted by reason, and no harm to the others.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    unreachable_pub
)]

mod contacts;
mod raw;
mod scene;
mod strangers;
