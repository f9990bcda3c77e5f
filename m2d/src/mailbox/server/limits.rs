//! How much a mailbox server takes on.

use crate::config::MailboxConfig;
use crate::mailbox::store::Limits;
use m2_net::wire::mailbox::BoxState;

/// Bounds of a server.
#[derive(Debug, Clone)]
pub struct ServerLimits {
    /// What the store keeps.
    pub store: Limits,
    /// Owners that may be connected at once.
    pub owners: usize,
    /// Anonymous sessions at once.
    pub depositors: usize,
}

impl ServerLimits {
    /// As configured.
    pub fn of(config: &MailboxConfig) -> Self {
        Self {
            store: Limits {
                boxes: config.max_boxes,
                bytes: config.max_bytes,
                box_letters: config.box_letters,
                box_bytes: config.box_bytes,
                box_tokens: config.box_tokens,
            },
            owners: config.max_owners as usize,
            depositors: config.max_depositors as usize,
        }
    }

    /// What an owner is told of a box that it has.
    pub(super) fn open_box(&self) -> BoxState {
        BoxState {
            open: true,
            reason: String::new(),
            ..self.no_box("")
        }
    }

    /// What an owner is told when it has none.
    pub(super) fn no_box(&self, reason: &str) -> BoxState {
        BoxState {
            open: false,
            max_letters: u32::try_from(self.store.box_letters).unwrap_or(u32::MAX),
            max_bytes: self.store.box_bytes,
            max_tokens: u32::try_from(self.store.box_tokens).unwrap_or(u32::MAX),
            reason: reason.to_owned(),
        }
    }
}
