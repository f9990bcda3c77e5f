//! Level 1: messages sealed from sender to receiver, whatever carries them (spec §5).
//!
//! A sender opens an *epoch*: it makes an AES-128 content key, wraps it under the receiver's
//! certificate and signs the [`Grant`] that says so. [`SendEpoch`] and [`ReceiveEpoch`] are the
//! two ends of the hash chain that grows from it, one step a message. A [`Letter`] is a
//! one-message epoch, sealed once more so that a mailbox sees nothing of the sender.
//!
//! What the caller must keep: the state of both ends (`to_bytes`), stored before what was sealed
//! leaves or what was opened is acknowledged; the highest epoch of every (sender, incarnation);
//! the numbers of letters for [`MAX_GRANT_AGE_S`]. The types here refuse replays within one
//! epoch; replays of grants and letters are the caller's to refuse.

mod chain;
mod grant;
mod letter;
mod receive_epoch;
mod sealed;
mod send_epoch;

pub use grant::{
    EpochHeader, GRANT_BYTES, Grant, GrantKind, GrantRefused, OpenedGrant, VerifiedGrant,
    grant_hash,
};
pub use letter::{LETTER_SIZES, Letter, LetterError, MAX_LETTER_PLAINTEXT, OpenedLetter};
pub use receive_epoch::{Opened, ReceiveEpoch};
pub use sealed::{MAX_PLAINTEXT, SEALED_OVERHEAD_MIN, SealedHeader};
pub use send_epoch::{SealError, SendEpoch};

use crate::label;

/// Bytes of a message id: 128 random bits.
pub const MESSAGE_ID_BYTES: usize = 16;

/// Messages of one epoch, at most. Indices run from 0 to one less (spec §5).
pub const MAX_MESSAGES: u32 = 10_000;

/// How long a sender uses one epoch, in seconds: 24 hours (spec §5).
pub const MAX_EPOCH_AGE_S: u64 = 24 * 3600;

/// Grants older than this are refused, in seconds: 15 days (spec §5).
pub const MAX_GRANT_AGE_S: u64 = 15 * 24 * 3600;

/// Grants from further in the future than this are refused, in seconds: 1 day.
pub const MAX_GRANT_AHEAD_S: u64 = 24 * 3600;

/// Keys of messages that were overtaken, at most, in one epoch; and how far ahead of the chain
/// one message may be.
pub const MAX_SKIPPED: u32 = 2048;

/// What an acknowledgement names beside the message id: a hash of the content that the receiver
/// committed (spec §6).
pub fn content_hash(message_id: &[u8; MESSAGE_ID_BYTES], plaintext: &[u8]) -> [u8; 32] {
    label::hash("content", &[message_id, plaintext])
}
