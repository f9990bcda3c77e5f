//! The number of a deposit (docs/spec/mailbox.md#tokens).

use rand_core::CryptoRng;
use std::fmt;

/// Bytes of a nonce.
pub const NONCE_BYTES: usize = 16;

/// The random number that a token carries. It admits one letter into one box, is the id of that
/// letter there, and names the one-time key under which the letter is sealed. `Debug` prints none of
/// it, so that no log contains it by accident.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DepositNonce([u8; NONCE_BYTES]);

impl DepositNonce {
    /// Draws a nonce.
    pub fn random<R: CryptoRng + ?Sized>(rng: &mut R) -> Self {
        let mut bytes = [0; NONCE_BYTES];
        rng.fill_bytes(&mut bytes);
        Self(bytes)
    }

    /// Wraps 16 bytes read from a message or a store.
    pub const fn from_bytes(bytes: [u8; NONCE_BYTES]) -> Self {
        Self(bytes)
    }

    /// Returns the nonce's 16 bytes.
    pub const fn as_bytes(&self) -> &[u8; NONCE_BYTES] {
        &self.0
    }
}

impl fmt::Debug for DepositNonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DepositNonce(..)")
    }
}
