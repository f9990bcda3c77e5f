//! `[relay]`: forwarding packets for other daemons (docs/spec/line.md#sessions-with-a-relay). A
//! relay keeps its state in memory only.

use super::ConfigError;
use super::ranges::Section;
use m2_relay::RelayLimits;
use serde::{Deserialize, Serialize};
use std::time::Duration;

const SECTION: Section = Section("relay");

/// The relay role and the limits for its users.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct RelayConfig {
    /// Acts as a relay for daemons that know this daemon's peer id.
    pub serve: bool,
    /// The maximum number of concurrent anonymous sessions, 1 to 1,000,000.
    pub max_sessions: u32,
    /// The maximum number of open lines in total, 1 to 1,000,000.
    pub max_lines: u32,
    /// The maximum number of open lines of one session, 1 to 65,536.
    pub max_lines_per_session: u32,
    /// The maximum number of concurrent callers on one line, 1 to 1,024.
    pub max_joins_per_line: u32,
    /// The maximum number of concurrently connected pairs, 1 to 1,000,000.
    pub max_splices: u32,
    /// The maximum bytes per second of one pair in each direction, 16 KiB or more.
    pub splice_bytes_per_second: u64,
    /// The maximum bytes per second of all pairs together, 64 KiB or more.
    pub bytes_per_second: u64,
    /// The idle timeout of a pair in seconds, 10 to 3,600.
    pub idle_seconds: u32,
    /// Extends sessions to further relays.
    pub extend: bool,
    /// Extends sessions also to private, loopback and link-local addresses.
    pub extend_to_private: bool,
}

impl Default for RelayConfig {
    fn default() -> Self {
        Self {
            serve: false,
            max_sessions: 4_096,
            max_lines: 16_384,
            max_lines_per_session: 2_048,
            max_joins_per_line: 16,
            max_splices: 4_096,
            splice_bytes_per_second: 12_500_000,
            bytes_per_second: 125_000_000,
            idle_seconds: 60,
            extend: true,
            extend_to_private: false,
        }
    }
}

impl RelayConfig {
    /// Returns the limits for users of the relay.
    pub fn limits(&self) -> RelayLimits {
        RelayLimits {
            sessions: self.max_sessions as usize,
            lines: self.max_lines as usize,
            lines_per_session: self.max_lines_per_session as usize,
            joins_per_line: self.max_joins_per_line as usize,
            splices: self.max_splices as usize,
            splice_bytes_per_second: self.splice_bytes_per_second,
            bytes_per_second: self.bytes_per_second,
            idle: Duration::from_secs(self.idle_seconds.into()),
            extend: self.extend,
            extend_to_private: self.extend_to_private,
        }
    }

    pub(super) fn check_ranges(&self) -> Result<(), ConfigError> {
        let million = "1 to 1,000,000";
        let is_million = |value| (1..=1_000_000).contains(&value);
        SECTION.range("max_sessions", is_million(self.max_sessions), million)?;
        SECTION.range("max_lines", is_million(self.max_lines), million)?;
        let lines = (1..=65_536).contains(&self.max_lines_per_session);
        SECTION.range("max_lines_per_session", lines, "1 to 65,536")?;
        let joins = (1..=1_024).contains(&self.max_joins_per_line);
        SECTION.range("max_joins_per_line", joins, "1 to 1,024")?;
        SECTION.range("max_splices", is_million(self.max_splices), million)?;
        let splice = self.splice_bytes_per_second >= 1 << 14;
        SECTION.range("splice_bytes_per_second", splice, "16,384 or more")?;
        let all = self.bytes_per_second >= 1 << 16;
        SECTION.range("bytes_per_second", all, "65,536 or more")?;
        let idle = (10..=3_600).contains(&self.idle_seconds);
        SECTION.range("idle_seconds", idle, "10 to 3,600")
    }
}
