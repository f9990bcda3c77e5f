//! A NAT lab: two peers behind routers of all kinds, and a relay with a public address.
//!
//! Each [`Topology`] is built from network namespaces and nftables ([`Net`]). Plain sockets verify
//! that it behaves as described ([`prove`]), and then real daemons run in it ([`play`]). [`run`]
//! does all of this for a list of topologies.

mod chart;
mod flow;
mod gateway;
mod mover;
mod net;
mod probe;
mod rules;
mod run;
mod stream;
mod topology;

pub use chart::{Row, page, table};
pub use flow::{Pace, play};
pub use gateway::Gateway;
pub use net::Net;
pub use probe::prove;
pub use run::{Options, run};
pub use topology::{ALL, Access, Change, Place, Topology};
