//! Ways from socket to socket: where this host may be reached, and how two contacts that met on a
//! line find a direct path (spec §8).

mod asked;
mod candidates;
mod meeting;
mod reachability;
mod scope;

pub use candidates::{Source, Wanted, may_be_dialled};
pub use meeting::{Meeting, MeetingHandle, Meetings};
pub use reachability::{Known, Reachability, Standing};
