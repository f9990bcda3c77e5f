//! `[privacy]`: what peers and observers may learn.

use super::ConfigError;
use super::ranges::Section;
use m2_core::IpMode;
use m2_crypto::address::{NamedAddress, Use};
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::num::NonZeroU32;

/// What peers and observers may learn.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct PrivacyConfig {
    /// The addresses that invitations name; the bound addresses if empty.
    pub announce: Vec<SocketAddr>,
    /// The paths that sessions with peers may take.
    pub ip: IpMode,
    /// The size to which data packets are padded.
    pub padding: Padding,
    /// The number of packets, 0 to 1,000, that every session with a peer sends each second as cover
    /// traffic. Messages take the place of cover packets. 0 disables it. Needs padding.
    pub cover: u32,
}

/// The size to which data packets are padded, so that sizes reveal nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Padding {
    /// No padding: packets are as long as their payload.
    #[default]
    None,
    /// The largest size that the path allows.
    Full,
}

impl PrivacyConfig {
    /// Returns whether data packets are padded.
    pub fn pads(&self) -> bool {
        self.padding == Padding::Full
    }

    /// Returns the number of cover packets per second and session, if cover traffic is enabled.
    pub const fn covers(&self) -> Option<NonZeroU32> {
        NonZeroU32::new(self.cover)
    }

    /// Checks that announced addresses pass the filter that peers apply to them. A daemon that
    /// listens only on loopback may announce loopback addresses.
    pub(super) fn check_announced(&self, loopback_only: bool) -> Result<(), ConfigError> {
        // Private addresses are announced where sessions are direct.
        let wanted = match self.ip {
            IpMode::PreferLine => Use::Service,
            IpMode::Direct | IpMode::LineOnly => Use::Contact {
                shares_public: false,
            },
        };
        let is_refused =
            |own: &&SocketAddr| NamedAddress::for_peer(**own, wanted, loopback_only).is_none();
        match self.announce.iter().find(is_refused) {
            Some(&address) => Err(ConfigError::Announced { address }),
            None => Ok(()),
        }
    }

    pub(super) fn check_ranges(&self) -> Result<(), ConfigError> {
        Section("privacy").range("cover", self.cover <= 1_000, "0 to 1,000")?;
        // If packets differed in size, those with messages could be distinguished from cover.
        let unpadded = ConfigError::Needs {
            section: "privacy",
            key: "cover",
            needs: "padding = \"full\"",
        };
        let padded = self.cover == 0 || self.pads();
        padded.then_some(()).ok_or(unpadded)
    }
}
