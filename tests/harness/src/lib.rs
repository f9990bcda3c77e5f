//! Starts and drives real daemons through their public interfaces, for tests and for
//! `cargo quickstart`. This crate links none of the product's code except the typed client.

pub mod harness;
pub mod quickstart;
pub mod scenario;
pub mod skip;

pub use m2_verify::workspace;
