//! The handshake, packet protection and Initial packets: fixed vectors under every provider, and
//! attacks by a party on the path.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod attacks;
mod common;
mod packets;
mod vectors;
