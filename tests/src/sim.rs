//! A simulated world for the delivery state machine: two real conversations with real
//! cryptography, a store each that commits transactions, a network that loses, repeats and
//! reorders, crashes between any two steps, and time that only moves when it is told to.
//!
//! [`World`] runs a schedule of [`Op`]s, then heals the network and asks the checker what of the
//! promises of spec §6 was broken.

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
pub use node::{Crash, Fault, Frame, Node};
pub use op::{Op, Side, faulty_schedule, schedule};
pub use store::{Event, ModelStore};
pub use world::World;
