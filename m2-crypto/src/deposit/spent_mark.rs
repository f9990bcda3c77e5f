//! The mark that replaces a letter which the owner took
//! (docs/spec/mailbox.md#spent-marks).

use super::nonce::DepositNonce;
use crate::label;
use crate::secret::Secret;
use rand_core::CryptoRng;
use std::fmt;
use subtle::ConstantTimeEq;

/// Bytes of a mark.
pub const MARK_BYTES: usize = 16;

/// The key of a provider's spent marks, 32 random bytes. Without it, a mark does not confirm which
/// letter it replaced.
#[derive(Debug, Clone)]
pub struct MarkSalt(Secret<32>);

impl MarkSalt {
    /// Draws a salt.
    pub fn random<R: CryptoRng + ?Sized>(rng: &mut R) -> Self {
        Self(Secret::random(rng))
    }

    /// Wraps a salt read from a store.
    pub const fn new(bytes: Secret<32>) -> Self {
        Self(bytes)
    }

    /// Returns the bytes, for a store.
    pub const fn expose(&self) -> &[u8; 32] {
        self.0.expose()
    }

    /// Makes the mark of a letter with this nonce: the first 16 bytes of MAC(salt, "spent letter",
    /// nonce ‖ H("deposited letter", letter)).
    pub fn mark(&self, nonce: &DepositNonce, letter: &[u8]) -> SpentMark {
        let hash = label::hash("deposited letter", &[letter]);
        let fields = [&nonce.as_bytes()[..], &hash];
        SpentMark(label::short_mac(self.0.expose(), "spent letter", &fields))
    }
}

/// The mark of a letter that was taken. It distinguishes a repetition of the same deposit from
/// another letter under the same nonce. Marks compare in constant time.
#[derive(Clone, Copy)]
pub struct SpentMark([u8; MARK_BYTES]);

impl SpentMark {
    /// Wraps a mark read from a store.
    pub const fn from_bytes(bytes: [u8; MARK_BYTES]) -> Self {
        Self(bytes)
    }

    /// Returns the bytes, for a store.
    pub const fn as_bytes(&self) -> &[u8; MARK_BYTES] {
        &self.0
    }
}

impl PartialEq for SpentMark {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for SpentMark {}

impl fmt::Debug for SpentMark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SpentMark(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_belongs_to_one_salt_nonce_and_letter() {
        let salt = |byte| MarkSalt::new(Secret::new([byte; 32]));
        let nonce = |byte| DepositNonce::from_bytes([byte; 16]);
        let mark = salt(1).mark(&nonce(2), b"letter");
        assert_eq!(mark, SpentMark::from_bytes(*mark.as_bytes()));
        assert_eq!(mark, salt(1).mark(&nonce(2), b"letter"));
        assert_ne!(mark, salt(3).mark(&nonce(2), b"letter"));
        assert_ne!(mark, salt(1).mark(&nonce(4), b"letter"));
        assert_ne!(mark, salt(1).mark(&nonce(2), b"lettes"));
        assert_eq!(format!("{mark:?}"), "SpentMark(..)");
    }
}
