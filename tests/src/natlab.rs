//! A lab of networks: two parties behind routers of all kinds, and a relay in the open.
//!
//! Each [`Topology`] is built from network namespaces and nftables ([`Net`]), proven to be what it
//! says with plain sockets ([`prove`]), and then real daemons are sent through it ([`play`]). [`run`] does all of it.

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
