//! Peers that keep no rule: refused, bounded, counted by reason, and no harm to the others.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    unreachable_pub
)]

mod admission;
mod anonymous;
mod contacts;
mod crowd;
mod deaf;
mod envelopes;
mod far_ahead;
mod flood;
mod forge;
mod grants;
mod greedy;
mod raw;
mod scene;
mod strangers;
mod transport;
