//! How one address is dialled: with which sockets, within which budgets, and which of the addresses
//! that others name.

mod address_budget;
mod direct;
mod endpoint_factory;
mod failure;

pub use address_budget::{AddressBudgets, Charge};
pub use direct::{Direct, DirectError};
pub use endpoint_factory::{EndpointFactory, network_clock};
pub use failure::{DialFailure, of_dial, of_line};
