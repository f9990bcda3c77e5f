//! Everything that dials: contacts, the paths that a user probes, and the budgets and filters for
//! addresses that others name.
//!
//! The core decides which peers are dialled, when and in which order (`m2_core::dial`); this room
//! performs it.

mod address_budget;
mod dialer;
mod direct;
mod endpoint_factory;
mod failure;
mod orders;
mod probe;

pub use address_budget::AddressBudgets;
pub use dialer::Dialer;
pub use direct::{Direct, DirectError};
pub use endpoint_factory::EndpointFactory;
pub use failure::PathFailure;
pub use orders::DialerHandle;
pub use probe::{Prober, Tried, WaySource};
