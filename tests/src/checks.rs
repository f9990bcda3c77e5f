//! The repository's own rules, as functions that return what breaks them.
//!
//! Each finding is one line that names the place and what to do. `tests/tests/repo_checks.rs`
//! fails on any.

pub mod crates;
pub mod files;
pub mod language;
pub mod licences;
pub mod links;
mod prose;
pub mod protos;
pub mod rooms;
pub mod rust_code;
pub mod words;
