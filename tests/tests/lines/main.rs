//! Lines between real daemons: parties that meet at relays.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    unreachable_pub
)]

mod bad_relay;
mod blind;
mod fail_closed;
mod named;
mod no_address;
mod policy;
mod scene;
mod talk;
