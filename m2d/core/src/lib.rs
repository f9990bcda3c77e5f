#![doc = include_str!("../README.md")]

pub mod access;
pub mod address_budget;
pub mod clock;
pub mod contact;
pub mod contact_name;
pub mod dial;
pub mod found;
pub mod frames;
pub mod ip_mode;
pub mod line;
mod path_failure;
pub mod requests;
pub mod resolve;
pub mod sessions;
mod store_limits;
pub mod strangers;

pub use contact::{ContactState, KnownAddress};
pub use ip_mode::IpMode;
pub use line::{ContactLine, LineTokens};
pub use path_failure::PathFailure;
pub use store_limits::StoreLimits;
