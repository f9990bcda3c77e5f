//! Peers that follow no rule: they are refused, bounded and counted by reason, and do not harm the
//! others.
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
mod erased;
mod far_ahead;
mod flood;
mod forge;
mod grants;
mod greedy;
mod letters;
mod raw;
mod scene;
mod strangers;
mod transport;
