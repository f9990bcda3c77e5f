//! Which paths sessions may take.

use serde::{Deserialize, Serialize};

/// The paths that sessions with peers may take. The order is from the mode that reveals most to the
/// one that reveals least: a later mode is stricter.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum IpMode {
    /// Directly, and over lines if that fails.
    #[default]
    Direct,
    /// Over lines, and directly if that fails.
    PreferLine,
    /// Only over lines; nothing is sent to other hosts than the daemon's own relays.
    LineOnly,
}
