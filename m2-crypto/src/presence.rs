//! Presence: where somebody is, for one pair's eyes (docs/spec/lookup.md, spec §8).
//!
//! Two contacts share a secret for each direction. Under it one publishes where it is and the
//! other looks: sealed [`Record`]s in the DHT, keyed by the day ([`DayKey`]), and [`tag`]s in the
//! local network, keyed by the hour. Who has not the secret sees random bytes of one size, and
//! can't tell two days, two hours or two contacts of one peer apart.

mod announcement;
mod key;
mod record;

pub use announcement::{ANNOUNCEMENT_BYTES, Announcement, NONCE_BYTES, TAG_BYTES, TAGS, tag};
pub use key::DayKey;
pub use record::{
    CONTENT_BYTES, MAX_ADDRESSES, MAX_LINE_ADDRESSES, MAX_LINES, PresenceLine, RECORD_BYTES, Record,
};

use crate::invitation::Invitation;
use crate::label;
use crate::secret::Secret;
use thiserror::Error;

/// Seconds of a day and of an hour. Days and hours are counted from 1970 in UTC.
const DAY_S: u64 = 86_400;
const HOUR_S: u64 = 3_600;

/// Why something was no presence, or could not be made one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PresenceError {
    /// It was made under another secret or for another day, or is damaged, or is no presence at
    /// all. One error for every reason.
    #[error("the presence does not open")]
    Unreadable,
    /// It has more in it than fits, or an address without a port.
    #[error(
        "presence holds at most 4 addresses and 6 lines of 1 to 2 addresses, each with a port: name fewer"
    )]
    Limits,
}

/// What one peer publishes under for one other: of one pair and one direction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PresenceSecret(Secret<32>);

impl PresenceSecret {
    /// The secret of a pair of contacts for one direction. The two directions have secrets of
    /// their own, so nothing below names the direction again.
    pub const fn new(secret: Secret<32>) -> Self {
        Self(secret)
    }

    /// The secret under which an inviter publishes for whoever holds `invitation`.
    pub fn of_invitation(invitation: &Invitation) -> Self {
        Self::of_rendezvous(invitation.rendezvous())
    }

    /// The same for the inviter, who stores the rendezvous secret alone.
    pub fn of_rendezvous(rendezvous: &Secret<32>) -> Self {
        let key = rendezvous.expose();
        Self(Secret::new(label::mac(key, "invitation presence", &[])))
    }

    const fn expose(&self) -> &[u8; 32] {
        self.0.expose()
    }
}

/// The UTC day of a moment (Unix time in seconds), days since 1970.
pub fn day(now_s: u64) -> u32 {
    u32::try_from(now_s / DAY_S).unwrap_or(u32::MAX)
}

/// The hour of a moment (Unix time in seconds), hours since 1970.
pub fn hour(now_s: u64) -> u32 {
    u32::try_from(now_s / HOUR_S).unwrap_or(u32::MAX)
}
