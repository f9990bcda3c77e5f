#![doc = include_str!("../README.md")]

mod invitations;
pub mod server;
pub mod store;

pub use invitations::{Invitations, Unavailable};
