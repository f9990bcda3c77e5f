#![doc = include_str!("../README.md")]

pub mod harness;
pub mod quickstart;
pub mod scenario;
pub mod skip;

pub use m2_verify::workspace;
