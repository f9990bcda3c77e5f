//! The bounds of a mailbox server.

use crate::store::Limits;
use m2_net::wire::mailbox::BoxState;

/// The bounds of a mailbox server.
#[derive(Debug, Clone)]
pub struct ServerLimits {
    /// The bounds of the store.
    pub store: Limits,
    /// The maximum number of concurrently connected owners.
    pub owners: usize,
    /// The maximum number of concurrent anonymous sessions.
    pub depositors: usize,
}

impl ServerLimits {
    /// Returns the state that is sent to an owner with a box.
    pub(super) fn open_box(&self) -> BoxState {
        BoxState {
            open: true,
            reason: String::new(),
            ..self.no_box("")
        }
    }

    /// Returns the state that is sent to an owner without a box.
    pub(super) fn no_box(&self, reason: &str) -> BoxState {
        BoxState {
            open: false,
            max_letters: u32::try_from(self.store.box_letters).unwrap_or(u32::MAX),
            max_bytes: self.store.box_bytes,
            reason: reason.to_owned(),
        }
    }
}
