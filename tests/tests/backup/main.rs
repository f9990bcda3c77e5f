//! Backups: made while the daemon works, verified, refused when they are damaged, and restored.
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
mod streamed;
