//! The settings and the health of this daemon's relays.

use crate::settings::LineSettings;
use m2_core::PathFailure;
use m2_crypto::line::LineKey;
use m2_store::RelayRowId;
use std::collections::HashMap;

/// The health of a relay, as reported by the task that keeps sessions with relays.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LineHealth {
    /// True if a session with the relay is up.
    pub online: bool,
    /// Number of lines open at the relay.
    pub open: u32,
    /// Why there is no session, `None` if there is one.
    pub failure: Option<PathFailure>,
}

/// The engine's state of lines.
#[derive(Debug)]
pub(crate) struct Lines {
    pub(crate) settings: LineSettings,
    pub(crate) key: LineKey,
    /// The health of relays, by row.
    pub(crate) health: HashMap<RelayRowId, LineHealth>,
    /// When the days of the open lines change, in Unix milliseconds.
    pub(crate) days_until_ms: u64,
}

impl Lines {
    pub(crate) fn new(settings: LineSettings, key: LineKey) -> Self {
        Self {
            settings,
            key,
            health: HashMap::new(),
            days_until_ms: u64::MAX,
        }
    }
}
