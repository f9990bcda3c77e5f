//! `[privacy]`: what others may learn (spec §7).

use super::ConfigError;
use serde::Deserialize;
use std::net::SocketAddr;

/// What others may learn.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PrivacyConfig {
    /// Addresses that invitations name; those that are bound when empty.
    pub announce: Vec<SocketAddr>,
    /// Which ways sessions with peers take.
    pub ip: IpMode,
    /// What data packets are filled up to.
    pub padding: Padding,
    /// Packets a second that go out whether or not there is something to say; 0: none.
    pub cover: u32,
}

/// Which ways sessions with peers take, from the one that tells most to the one that tells least:
/// a later one is stricter (spec §7).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum IpMode {
    /// From socket to socket, and over lines where that fails.
    #[default]
    Direct,
    /// Over lines, and from socket to socket where that fails.
    PreferLine,
    /// Over lines alone, and to nothing but the own relays.
    LineOnly,
}

/// What data packets are filled up to, so that their sizes tell nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Padding {
    /// Nothing: they are as long as what they carry.
    #[default]
    None,
    /// The largest size that the path takes.
    Full,
}

impl PrivacyConfig {
    /// Whether data packets are filled up.
    pub fn pads(&self) -> bool {
        self.padding == Padding::Full
    }

    pub(super) fn check_ranges(&self) -> Result<(), ConfigError> {
        let not_yet = ConfigError::NotYet {
            section: "privacy",
            key: "cover",
        };
        (self.cover == 0).then_some(()).ok_or(not_yet)
    }
}
