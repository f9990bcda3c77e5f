//! Mailboxes with real daemons: carol keeps letters for bob, who is offline when alice sends.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    unreachable_pub
)]

mod alike;
mod clocks;
mod consent;
mod disk;
mod first_packet;
mod kills;
mod refused;
mod together;
