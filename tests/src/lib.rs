//! Tests of M2 as a whole: repository checks, a simulated world for the delivery state machine,
//! test harnesses for real daemons, and benchmarks.

pub mod bareroot;
pub mod bench;
pub mod checks;
pub mod gateway;
pub mod hostile;
pub mod memory;
pub mod mosquitto;
pub mod natlab;
pub mod pages;
pub mod sim;
pub mod windows;

pub use m2_harness::{harness, quickstart, scenario, skip, workspace};
