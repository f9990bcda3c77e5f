//! What a daemon tells about itself when something goes wrong: the debug log, and bug reports.
#![allow(clippy::unwrap_used, clippy::panic)]

mod bugreport;
mod explained;
