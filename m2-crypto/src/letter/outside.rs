//! The layout of a letter that everyone sees (docs/spec/letter.md#outside).

use super::inside::INSIDE_BYTES;
use crate::certificate::MODULUS_BYTES;
use crate::one_time_key::{CIPHERTEXT_BYTES, OneTimeCiphertext};

/// The possible lengths of a letter, in bytes: 4, 8, 16, 32 and 64 KiB.
pub const LETTER_SIZES: [usize; 5] = [4 << 10, 8 << 10, 16 << 10, 32 << 10, 64 << 10];

/// Maximum payload of a letter, in bytes: that of a message (docs/spec/delivery.md#payload).
pub const MAX_LETTER_PAYLOAD: usize = 50_176;

/// Bytes of the head: the encapsulated secrets.
pub(super) const HEAD_BYTES: usize = MODULUS_BYTES + CIPHERTEXT_BYTES;
/// Bytes of the tag.
pub(super) const TAG_BYTES: usize = 32;
/// Bytes of a letter in addition to its ciphertext.
pub(super) const OUTSIDE_BYTES: usize = HEAD_BYTES + TAG_BYTES;

/// A letter of a possible length, split into its parts.
pub(super) struct Outside<'a> {
    /// The parts before the ciphertext.
    pub(super) head: &'a [u8],
    /// The RSA secret, wrapped under the receiver's certificate: the first part of the head.
    pub(super) wrapped: &'a [u8],
    /// The secrets under the one-time key: the rest of the head.
    pub(super) one_time: OneTimeCiphertext,
    /// The encrypted inside, whole blocks.
    pub(super) ciphertext: &'a [u8],
    /// Head and ciphertext.
    pub(super) tagged: &'a [u8],
    /// The tag.
    pub(super) tag: &'a [u8; TAG_BYTES],
}

impl<'a> Outside<'a> {
    /// Splits a letter. Returns `None` unless its length is one of [`LETTER_SIZES`].
    pub(super) fn parse(letter: &'a [u8]) -> Option<Self> {
        if !LETTER_SIZES.contains(&letter.len()) {
            return None;
        }
        let (tagged, tag) = letter.split_last_chunk::<TAG_BYTES>()?;
        let (head, ciphertext) = tagged.split_at_checked(HEAD_BYTES)?;
        let (wrapped, one_time) = head.split_at_checked(MODULUS_BYTES)?;
        Some(Self {
            head,
            wrapped,
            one_time: OneTimeCiphertext::from_bytes(one_time)?,
            ciphertext,
            tagged,
            tag,
        })
    }
}

const _: () = assert!(
    OUTSIDE_BYTES + INSIDE_BYTES + MAX_LETTER_PAYLOAD <= 64 << 10,
    "a letter of the longest payload fits into 64 KiB"
);
const _: () = assert!(
    OUTSIDE_BYTES.is_multiple_of(16),
    "ciphertexts are whole blocks"
);
