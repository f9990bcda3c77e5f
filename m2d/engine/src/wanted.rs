//! Desired state, which tasks of the daemon bring about.

use m2_crypto::PeerId;
use m2_crypto::line::Caller;
use m2_store::{LineRow, MailboxRow};
use std::net::SocketAddr;

/// This daemon's relays, and the lines that should be open at them now
/// (`docs/spec/line.md#tokens`).
#[derive(Debug, Clone, Default)]
pub struct WantedLines {
    /// The relays, the oldest first.
    pub relays: Vec<LineRow>,
    /// The lines at each relay that is not an entry relay, the oldest first.
    pub open: Vec<OpenAt>,
}

/// The lines that should be open at one relay, the most important first in case the relay refuses
/// some.
#[derive(Debug, Clone)]
pub struct OpenAt {
    /// The relay's peer id.
    pub relay: PeerId,
    /// The relay's addresses.
    pub addresses: Vec<SocketAddr>,
    /// The allowed callers, each with the UTC day of its line, counted from 1970-01-01.
    pub lines: Vec<(Caller, u32)>,
}

/// A box with which the daemon keeps a session.
#[derive(Debug, Clone)]
pub struct WantedBox {
    /// The box.
    pub row: MailboxRow,
}

impl WantedBox {
    /// Returns whether the session must act on the change from `before`.
    pub fn differs_from(&self, before: &Self) -> bool {
        let of = |it: &Self| (it.row.row, it.row.state, it.row.addresses.clone());
        of(self) != of(before) || self.row.key != before.row.key
    }
}
