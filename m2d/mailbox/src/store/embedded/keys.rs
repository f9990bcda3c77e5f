//! The keys of letters, by which the letters of a box are adjacent and in no order of arrival
//! (docs/spec/mailbox-store.md#the-embedded-store).

use m2_crypto::deposit::DepositNonce;
use m2_crypto::{PeerId, Secret, label};
use std::ops::Range;

/// The size of a box number in bits. Together with 40 bits it forms a positive 64-bit key.
pub(super) const NUMBER_BITS: u32 = 23;
const KEY_BITS: u32 = 40;

/// The number of adjacent keys at which a letter may be stored. Nonces are hashed with a secret, so
/// an attacker can't cause collisions, and eight collisions at one key do not happen by chance.
pub(super) const PROBES: i64 = 8;

/// Returns the first key at which a letter may be stored.
pub(super) fn base(salt: &Secret<32>, number: u32, owner: &PeerId, nonce: &DepositNonce) -> i64 {
    let fields = [&owner.as_bytes()[..], nonce.as_bytes()];
    let hash = label::mac(salt.expose(), "letter key", &fields);
    let tail = hash
        .iter()
        .take(5)
        .fold(0, |sum, byte| (sum << 8) | i64::from(*byte));
    // Leaves room for the probes at the end of the box's range.
    (i64::from(number) << KEY_BITS) + tail.min((1 << KEY_BITS) - PROBES)
}

/// Returns the number of the box to which a key belongs.
pub(super) fn number_of(key: i64) -> u32 {
    u32::try_from(key >> KEY_BITS).unwrap_or(0)
}

/// Returns the range of keys of a box.
pub(super) fn range(number: u32) -> Range<i64> {
    let number = i64::from(number);
    number << KEY_BITS..(number + 1) << KEY_BITS
}
