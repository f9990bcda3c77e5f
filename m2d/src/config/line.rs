//! `[line]`: reachability over lines (docs/spec/line.md).

use serde::{Deserialize, Serialize};

/// The daemon's own lines.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct LineConfig {
    /// Listens for contacts at the relays that were added with `m2 line add`.
    pub open: bool,
}

impl Default for LineConfig {
    fn default() -> Self {
        Self { open: true }
    }
}
