//! What users of a relay may take.

use std::time::Duration;

/// What users of a relay may take.
#[derive(Debug, Clone)]
pub struct RelayLimits {
    /// Sessions of parties at once.
    pub sessions: usize,
    /// Lines open at once, of all parties.
    pub lines: usize,
    /// Lines that one session may have open.
    pub lines_per_session: usize,
    /// Callers on one line at once.
    pub joins_per_line: usize,
    /// Callers on all lines at once.
    pub splices: usize,
    /// Bytes a second between one caller and its listener, both ways together.
    pub splice_bytes_per_second: u64,
    /// Bytes a second in all.
    pub bytes_per_second: u64,
    /// What nobody used for so long ends.
    pub idle: Duration,
    /// Whether sessions may be extended to other relays.
    pub extend: bool,
    /// Whether also to addresses that are not public ones.
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
