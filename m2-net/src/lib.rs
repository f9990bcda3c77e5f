//! placeholder
pub mod delivery;
