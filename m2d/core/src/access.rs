//! Access tokens: which calls a front-end may make that shows one (docs/operator/access.md).

mod calls;
mod scope;
mod token;

pub use calls::{CALLS, Call, Rule};
pub use scope::{Scope, Scopes};
pub use token::{AccessToken, Selector};
