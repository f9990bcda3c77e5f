//! What callers get wrong: a clear error with a stable reason, and nothing is lost.
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
