//! Ways from socket to socket: where this host may be reached, and how two contacts that met on a
//! line find a direct path (spec §8).

mod asked;
mod candidates;
mod meeting;
mod reachability;

pub use candidates::Source;
pub use meeting::{Meeting, MeetingHandle, Meetings};
pub use reachability::{Known, Reachability, Standing};
