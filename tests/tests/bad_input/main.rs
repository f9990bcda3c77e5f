//! Callers' mistakes: each yields a clear error with a stable reason, and no message is lost.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod contacts;
mod messages;
mod raw;
mod refusals;
mod scene;
