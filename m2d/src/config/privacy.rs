//! `[privacy]`: what others may learn (spec §7).

use super::ConfigError;
use m2_crypto::address::{NamedAddress, Use};
use serde::Deserialize;
use std::net::SocketAddr;
use std::num::NonZeroU32;

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
    /// Packets a second, 0 to 1,000, that leave every session with a peer whether or not there is
    /// something to say; messages take their place. 0: none. Needs padding.
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

    /// Pieces that leave every session each second, if it is to be covered.
    pub const fn covers(&self) -> Option<NonZeroU32> {
        NonZeroU32::new(self.cover)
    }

    /// Announced addresses pass the filter that peers apply to them; a daemon that listens on loopback
    /// alone may announce loopback.
    pub(super) fn check_announced(&self, loopback_only: bool) -> Result<(), ConfigError> {
        // Private addresses are told where the way is direct.
        let wanted = match self.ip {
            IpMode::PreferLine => Use::Service,
            IpMode::Direct | IpMode::LineOnly => Use::Contact {
                shares_public: false,
            },
        };
        let is_refused =
            |own: &&SocketAddr| NamedAddress::told(**own, wanted, loopback_only).is_none();
        match self.announce.iter().find(is_refused) {
            Some(&address) => Err(ConfigError::Announced { address }),
            None => Ok(()),
        }
    }

    pub(super) fn check_ranges(&self) -> Result<(), ConfigError> {
        let range = ConfigError::Range {
            section: "privacy",
            key: "cover",
            expected: "0 to 1,000",
        };
        if self.cover > 1_000 {
            return Err(range);
        }
        // Packets of different sizes would tell those that say something from the others.
        let unpadded = ConfigError::Needs {
            section: "privacy",
            key: "cover",
            needs: "padding = \"full\"",
        };
        let padded = self.cover == 0 || self.pads();
        padded.then_some(()).ok_or(unpadded)
    }
}
