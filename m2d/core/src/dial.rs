//! Which peers are dialled and when, by which paths and in which order.
//!
//! The engine orders sessions with peers ([`Order`]). [`DialPlan`] decides when each attempt
//! begins; [`Route::candidates`] decides in which order an attempt tries the paths of a peer. Neither
//! dials: the daemon's `dialling` room performs the effects.

mod order;
mod plan;
mod rates;
mod route;

pub use order::{Order, Orders};
pub use plan::{Attempt, DialPlan, Effect, Ended, Input, MAX_ATTEMPTS};
pub use route::{Candidate, Route, Target, use_of};
