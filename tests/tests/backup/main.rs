//! Backups: made while the daemon runs, verified, refused when damaged, and restored.
#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod refused;
mod restored;
mod scene;
mod scheduled;
mod streamed;
