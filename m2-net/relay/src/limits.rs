//! The limits for users of a relay.

use std::time::Duration;

/// The limits for users of a relay (`docs/spec/line.md#shares`).
#[derive(Debug, Clone)]
pub struct RelayLimits {
    /// Concurrent sessions of parties.
    pub sessions: usize,
    /// Open lines, over all parties.
    pub lines: usize,
    /// Open lines of one session.
    pub lines_per_session: usize,
    /// Concurrent callers on one line.
    pub joins_per_line: usize,
    /// Concurrent callers on all lines.
    pub splices: usize,
    /// Bytes per second between one caller and its listener, both directions together.
    pub splice_bytes_per_second: u64,
    /// Bytes per second over all lines.
    pub bytes_per_second: u64,
    /// The idle timeout of sessions and channels.
    pub idle: Duration,
    /// True if sessions may be extended to other relays.
    pub extend: bool,
    /// True if sessions may also be extended to addresses that are not public.
    pub extend_to_private: bool,
}

impl Default for RelayLimits {
    fn default() -> Self {
        Self {
            sessions: 4_096,
            lines: 16_384,
            lines_per_session: 2_048,
            joins_per_line: 16,
            splices: 4_096,
            splice_bytes_per_second: 12_500_000,
            bytes_per_second: 125_000_000,
            idle: Duration::from_secs(60),
            extend: true,
            extend_to_private: false,
        }
    }
}
