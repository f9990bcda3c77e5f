//! `[line]`: being reached over lines (spec §7).

use serde::Deserialize;

/// Lines of one's own.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LineConfig {
    /// Wait for contacts at the relays that `m2 line add` named.
    pub open: bool,
}

impl Default for LineConfig {
    fn default() -> Self {
        Self { open: true }
    }
}
