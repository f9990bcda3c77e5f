//! A simulated world for the delivery state machine: two real conversations with real cryptography,
//! a transactional store for each, a network that loses, duplicates and reorders frames, crashes
//! between any two steps, and a simulated clock.
//!
//! [`World`] runs a schedule of [`Op`]s, then heals the network. The checker reports which
//! guarantees of `docs/spec/delivery.md` were violated.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod checker;
mod identities;
mod ledger;
mod node;
mod op;
mod store;
mod world;

pub use identities::{ALICE, BOB, CAROL, Identified, identity};
pub use ledger::Ledger;
pub use node::{Crash, Fault, Frame, Letter, Node, epoch_secret};
pub use op::{Op, Side, faulty_schedule, schedule};
pub use store::{Event, ModelStore};
pub use world::World;
