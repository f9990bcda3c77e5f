//! The two stores of a mailbox server: one suite for both, then what each promises for itself.
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
mod letters;
mod speed;
mod suite;
mod traces;
