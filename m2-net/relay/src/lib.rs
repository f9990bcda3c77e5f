#![doc = include_str!("../README.md")]

mod limits;
mod locks;
mod meter;
mod party;
mod pipe;
mod relay;
mod table;
mod totals;

pub use limits::RelayLimits;
pub use relay::Relay;
pub use totals::RelayTotals;
