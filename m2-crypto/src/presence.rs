//! Presence: where a peer is reachable, readable by one contact only (docs/spec/lookup.md).
//!
//! Two contacts share one secret for each direction. Under it one of them publishes where it is
//! reachable and the other looks it up: as sealed [`Record`]s in the DHT, keyed by the day
//! ([`DayKey`]), and as [`tag`]s in the local network, keyed by the hour. Without the secret both
//! are random bytes of constant size, and neither two days, two hours nor two contacts of one peer
//! can be linked.

mod announcement;
mod key;
mod record;
mod record_key;

pub use announcement::{ANNOUNCEMENT_BYTES, Announcement, NONCE_BYTES, TAG_BYTES, TAGS, tag};
pub use key::{DayKey, PresenceKey, Salt};
pub use record::{
    CONTENT_BYTES, MAX_ADDRESSES, MAX_LINE_ADDRESSES, MAX_LINES, PresenceLine, RECORD_BYTES, Record,
};
pub use record_key::RecordKey;

use crate::secret::Secret;
use thiserror::Error;

/// Seconds of a day and of an hour. Days and hours are counted from 1970 in UTC.
const DAY_S: u64 = 86_400;
const HOUR_S: u64 = 3_600;

/// The reason why presence data could not be read or made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PresenceError {
    /// It was made under another secret or for another day, is damaged, or is not presence data.
    /// All causes are one error.
    #[error("the presence does not open")]
    Unreadable,
    /// It holds more than fits, or an address without a port.
    #[error(
        "presence holds at most 4 addresses and 6 lines of 1 to 2 addresses, each with a port: name fewer"
    )]
    Limits,
}

/// The secret under which one peer publishes for one other, or for the holders of an invitation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PresenceSecret(Secret<32>);

impl PresenceSecret {
    /// Wraps the secret of a pair of contacts for one direction. Each direction has its own secret,
    /// so the derivations below do not include the direction.
    pub const fn new(secret: Secret<32>) -> Self {
        Self(secret)
    }

    const fn expose(&self) -> &[u8; 32] {
        self.0.expose()
    }
}

/// Returns the UTC day of `now_s` (Unix time in seconds), in days since 1970.
pub fn day(now_s: u64) -> u32 {
    u32::try_from(now_s / DAY_S).unwrap_or(u32::MAX)
}

/// Returns the hour of `now_s` (Unix time in seconds), in hours since 1970.
pub fn hour(now_s: u64) -> u32 {
    u32::try_from(now_s / HOUR_S).unwrap_or(u32::MAX)
}
