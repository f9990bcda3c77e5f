//! Access control: which front-ends may connect, and what each may do (docs/operator/access.md).

mod caller;
mod layer;
mod registry;
mod revocable;
#[cfg(unix)]
mod users;
#[cfg(windows)]
#[path = "access/windows_users.rs"]
mod users;
mod uses;

pub use caller::Caller;
pub use layer::AccessLayer;
pub use registry::Registry;
pub use users::{Peer, Users};
pub use uses::{Uses, store_uses};

use std::sync::Arc;

/// The parts of access control, shared by the socket and the services.
#[derive(Debug)]
pub struct Access {
    /// The users that may connect.
    pub users: Users,
    /// The access tokens.
    pub tokens: Registry,
    /// What tokens were used for since the last time that it was stored.
    pub uses: Uses,
}

impl Access {
    /// Returns access control for these users, without tokens until the store is open.
    pub fn new(users: Users) -> Arc<Self> {
        Arc::new(Self {
            users,
            tokens: Registry::default(),
            uses: Uses::default(),
        })
    }
}
