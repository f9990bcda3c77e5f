//! Tests of M2 as a whole: repository checks, a simulated world for the delivery state machine,
//! test harnesses for real daemons, and benchmarks.

pub mod bench;
pub mod checks;
pub mod harness;
pub mod hostile;
pub mod natlab;
pub mod quickstart;
pub mod scenario;
pub mod sim;
pub mod skip;

pub use m2_verify::workspace;
