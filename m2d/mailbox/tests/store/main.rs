//! The two stores of a mailbox server: a suite for both, and tests of each.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

#[cfg(feature = "jetstream")]
mod cluster;
mod embedded;
#[cfg(feature = "jetstream")]
mod jetstream;
#[cfg(feature = "jetstream")]
mod jetstream_speed;
mod letters;
mod speed;
mod suite;
mod traces;
