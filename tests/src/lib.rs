//! What tests M2 as a whole: repository checks, real daemons under test, and `cargo verify`.

pub mod bench;
pub mod checks;
pub mod harness;
pub mod hostile;
pub mod natlab;
pub mod quickstart;
pub mod scenario;
pub mod sim;
pub mod skip;
pub mod verify;
pub mod workspace;
