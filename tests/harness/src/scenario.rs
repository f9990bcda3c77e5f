//! Building blocks of scenario tests: pairs of contacts, a concise API client, waiting for
//! conditions.

mod api;
pub mod chaos;
mod events;
mod pair;
mod trio;
mod wait;

pub use api::{Api, counted};
pub use events::{Events, number};
pub use pair::{Pair, befriend};
pub use trio::{SERVES, SOON, Trio, set_policy};
pub use wait::{PATIENCE, eventually};
