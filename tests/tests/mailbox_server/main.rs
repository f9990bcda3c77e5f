//! A daemon that serves mailboxes, and hand-made owners and depositors: the answers that they get, the
//! letters that are kept, and the limits that apply to them.
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
