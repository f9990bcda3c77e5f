//! The tasks that dial contacts: the dialer, which performs the dial plan of m2-core, and the prober,
//! which tries all paths to a contact at the user's request.

mod dialer;
mod orders;
mod probe;

pub use dialer::Dialer;
pub use orders::DialerHandle;
pub use probe::{ProbeFailure, Probed, Prober, WaySource};
