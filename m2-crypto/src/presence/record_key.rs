//! The ed25519 key under which a record is stored in the DHT (docs/spec/lookup.md#in-the-dht).

use crate::secret::Secret;
use ed25519_dalek::SigningKey;
use rand_core::CryptoRng;
use std::fmt;

/// The key of a record: with its seed for those that may write the record, or only the public half.
#[derive(Clone, PartialEq, Eq)]
pub enum RecordKey {
    /// The seed (RFC 8032).
    Seed(Secret<32>),
    /// The public half.
    Public([u8; 32]),
}

impl RecordKey {
    /// Generates a key.
    pub fn generate<R: CryptoRng + ?Sized>(rng: &mut R) -> Self {
        Self::Seed(Secret::random(rng))
    }

    /// Returns the public half, which determines where the record is stored.
    pub fn public(&self) -> [u8; 32] {
        match self {
            Self::Seed(seed) => SigningKey::from_bytes(seed.expose())
                .verifying_key()
                .to_bytes(),
            Self::Public(public) => *public,
        }
    }

    /// Returns the seed, with which records are signed, if it is known.
    pub const fn seed(&self) -> Option<&Secret<32>> {
        match self {
            Self::Seed(seed) => Some(seed),
            Self::Public(_) => None,
        }
    }
}

impl fmt::Debug for RecordKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RecordKey(..)")
    }
}
