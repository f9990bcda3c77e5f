//! Mailboxes with real daemons: carol keeps letters for bob, who is offline when alice sends.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    unreachable_pub
)]

mod alike;
mod attacks;
mod clocks;
mod consent;
mod disk;
mod erased;
mod first_packet;
mod kills;
mod linking;
mod provider;
mod refused;
mod together;
