//! Level 1: messages sealed end to end, independent of the transport (docs/spec/envelope.md).
//!
//! A sender opens an *epoch* in a session: it draws an AES-128 content key, wraps it under the
//! receiver's certificate and signs a [`Grant`] that contains the wrapped key. [`SendEpoch`] and
//! [`ReceiveEpoch`] are the two ends of the hash chain that content key and session start
//! ([`EpochSecret`]), with one step for each message. Neither is ever stored.
//!
//! The types here reject replays within one epoch. Rejecting replayed grants is the caller's task: it
//! keeps the highest epoch of every (sender, incarnation).

mod chain;
mod epoch_secret;
mod grant;
mod receive_epoch;
mod sealed;
mod send_epoch;

pub(crate) use chain::MessageKeys;
pub use epoch_secret::{EpochSecret, EpochShare, MAX_EPOCHS_SKIPPED, SESSION_NAME_BYTES};
pub use grant::{
    EpochHeader, GRANT_BYTES, Grant, GrantRefused, OpenedGrant, VerifiedGrant, grant_hash,
};
pub use receive_epoch::{Ends, Opened, ReceiveEpoch};
pub use sealed::{MAX_PLAINTEXT, SEALED_OVERHEAD_MIN, SealedHeader};
pub use send_epoch::{SealError, SendEpoch};

use crate::label;

/// Bytes of a message id: 128 random bits.
pub const MESSAGE_ID_BYTES: usize = 16;

/// Maximum number of messages in one epoch. Indices are 0 to 1,023
/// (docs/spec/envelope.md#sealed-message).
pub const MAX_MESSAGES: u32 = 1_024;

/// Maximum age of a grant, in seconds: 15 days. Older grants are rejected
/// (docs/spec/envelope.md#grant).
pub const MAX_GRANT_AGE_S: u64 = 15 * 24 * 3600;

/// How far a grant's date may be in the future, in seconds: 1 day.
pub const MAX_GRANT_AHEAD_S: u64 = 24 * 3600;

/// Returns the hash of a message's content that an acknowledgement carries together with the
/// message id (docs/spec/delivery.md#ids-and-hashes).
pub fn content_hash(message_id: &[u8; MESSAGE_ID_BYTES], plaintext: &[u8]) -> [u8; 32] {
    label::hash("content", &[message_id, plaintext])
}
