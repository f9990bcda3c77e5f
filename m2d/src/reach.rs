//! Direct paths: where this host may be reached, and how two contacts that are connected on a line
//! find a direct path (`docs/spec/reach.md`).

mod asked;
mod candidates;
mod meeting;
mod reachability;

pub use candidates::Source;
pub use meeting::{Meeting, MeetingHandle, Meetings};
pub use reachability::{Known, Reachability, Standing};
