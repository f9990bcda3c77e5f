//! A daemon that is a mailbox, and hand-made owners and depositors: what they are told, what is
//! kept, and what they can't do.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    unreachable_pub
)]

mod crowd;
mod deposits;
mod front_ends;
mod greedy;
mod kill;
mod out_of_place;
mod owners;
mod people;
mod registration;
mod scene;
