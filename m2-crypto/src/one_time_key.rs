//! One-time keys: X25519 and ML-KEM-768, under which one letter is sealed
//! (docs/spec/letter.md#one-time-keys).
//!
//! The owner of a box keeps a [`OneTimeSeed`] for each token that it gives away, and gives the
//! [`OneTimePublicKey`] away with the token. A seed is random: it depends on no other key, and once it
//! is erased, no key of the owner opens the letter.

use crate::error::KeyError;
use crate::kem::{self, KemKeyPair, KemPublicKey};
use crate::provider::Provider;
use crate::reader::Reader;
use crate::secret::Secret;
use crate::x25519;
use rand_core::CryptoRng;
use std::fmt;

/// Bytes of a seed: an X25519 private key and a seed of ML-KEM.
pub const SEED_BYTES: usize = x25519::KEY_BYTES + kem::SEED_BYTES;
/// Bytes of a public key.
pub const PUBLIC_BYTES: usize = x25519::KEY_BYTES + kem::PUBLIC_BYTES;
/// Bytes of a ciphertext.
pub const CIPHERTEXT_BYTES: usize = x25519::KEY_BYTES + kem::CIPHERTEXT_BYTES;

/// The stored form of a private key: X25519 private key (32 bytes) ‖ seed of ML-KEM (64 bytes).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OneTimeSeed(Secret<SEED_BYTES>);

impl OneTimeSeed {
    /// Draws a seed.
    pub fn random<R: CryptoRng + ?Sized>(rng: &mut R) -> Self {
        Self(Secret::random(rng))
    }

    /// Wraps a seed read from a store.
    pub const fn new(bytes: Secret<SEED_BYTES>) -> Self {
        Self(bytes)
    }

    /// Returns the bytes, for a store.
    pub const fn expose(&self) -> &[u8; SEED_BYTES] {
        self.0.expose()
    }

    /// Derives the key pair.
    ///
    /// Errors: [`KeyError::Library`] if the provider refuses the key.
    pub fn key(&self, provider: &dyn Provider) -> Result<OneTimeKey, KeyError> {
        let (x25519, kem) = self.0.expose().split_at(x25519::KEY_BYTES);
        let x25519 = Secret::from_slice(x25519).ok_or(KeyError::Library)?;
        let kem = Secret::from_slice(kem).ok_or(KeyError::Library)?;
        let kem = KemKeyPair::from_seed(&kem, provider)?;
        let public = OneTimePublicKey {
            x25519: x25519::public(&x25519),
            kem: kem.public().clone(),
        };
        Ok(OneTimeKey {
            x25519,
            kem,
            public,
        })
    }
}

/// A key pair.
pub struct OneTimeKey {
    x25519: Secret<{ x25519::KEY_BYTES }>,
    kem: KemKeyPair,
    public: OneTimePublicKey,
}

impl OneTimeKey {
    /// Returns the half that is given to a contact.
    pub const fn public(&self) -> &OneTimePublicKey {
        &self.public
    }

    /// Returns the secrets that a contact encapsulated to [`Self::public`]. For an altered ciphertext,
    /// these are other secrets, and no error.
    ///
    /// Errors: [`KeyError::Encoding`] if the ephemeral key is a point of low order,
    /// [`KeyError::Library`] if the provider fails.
    pub fn decapsulate(&self, ciphertext: &OneTimeCiphertext) -> Result<OneTimeSecrets, KeyError> {
        // Both halves are computed before either error is returned, so that the errors take the
        // same work.
        let x25519 = x25519::agree(&self.x25519, &ciphertext.ephemeral);
        let kem = self.kem.decapsulate(&ciphertext.kem);
        Ok(OneTimeSecrets {
            x25519: x25519?,
            kem: kem?,
        })
    }
}

impl fmt::Debug for OneTimeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OneTimeKey(..)")
    }
}

/// A public key: X25519 (32 bytes) ‖ ML-KEM-768 (1,184 bytes).
#[derive(Clone, PartialEq, Eq)]
pub struct OneTimePublicKey {
    x25519: [u8; x25519::KEY_BYTES],
    kem: KemPublicKey,
}

impl OneTimePublicKey {
    /// Parses a public key.
    ///
    /// Errors: [`KeyError::Encoding`] if the length is not [`PUBLIC_BYTES`], the X25519 half is a
    /// point of low order, or a coefficient of the ML-KEM half is not below 3,329.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, KeyError> {
        let mut reader = Reader::new(bytes);
        let halves = (|| Some((reader.array()?, reader.array()?)))();
        let (x25519, kem) = halves.ok_or(KeyError::Encoding)?;
        reader.end().ok_or(KeyError::Encoding)?;
        x25519::check_public(&x25519)?;
        Ok(Self {
            x25519,
            kem: KemPublicKey::from_bytes(&kem)?,
        })
    }

    /// Returns the bytes of the key, [`PUBLIC_BYTES`].
    pub fn to_bytes(&self) -> Vec<u8> {
        [&self.x25519[..], self.kem.bytes()].concat()
    }

    /// Draws two secrets and encapsulates them. Consumes 32 random bytes for X25519, then 32 for
    /// ML-KEM.
    ///
    /// Errors: [`KeyError::Encoding`] if the X25519 half is a point of low order.
    pub fn encapsulate<R: CryptoRng + ?Sized>(
        &self,
        rng: &mut R,
    ) -> Result<(OneTimeCiphertext, OneTimeSecrets), KeyError> {
        let private = Secret::random(rng);
        let x25519 = x25519::agree(&private, &self.x25519)?;
        let (ciphertext, kem) = self.kem.encapsulate(rng);
        let ciphertext = OneTimeCiphertext {
            ephemeral: x25519::public(&private),
            kem: ciphertext,
        };
        Ok((ciphertext, OneTimeSecrets { x25519, kem }))
    }
}

impl fmt::Debug for OneTimePublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OneTimePublicKey(..)")
    }
}

/// The encapsulated secrets of one letter: ephemeral X25519 key (32 bytes) ‖ ciphertext of ML-KEM
/// (1,088 bytes).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OneTimeCiphertext {
    /// The sender's ephemeral X25519 public key.
    pub ephemeral: [u8; x25519::KEY_BYTES],
    /// The ciphertext of ML-KEM.
    pub kem: kem::Ciphertext,
}

impl OneTimeCiphertext {
    /// Parses a ciphertext. All values of the right length parse. Returns `None` unless the length is
    /// [`CIPHERTEXT_BYTES`].
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        let ciphertext = Self {
            ephemeral: reader.array()?,
            kem: reader.array()?,
        };
        reader.end()?;
        Some(ciphertext)
    }

    /// Returns the bytes of the ciphertext, [`CIPHERTEXT_BYTES`].
    pub fn to_bytes(&self) -> Vec<u8> {
        [&self.ephemeral[..], &self.kem].concat()
    }
}

/// The two secrets that a sender shares with the holder of a one-time key.
#[derive(Debug, PartialEq, Eq)]
pub struct OneTimeSecrets {
    /// The shared secret of X25519.
    pub x25519: Secret<{ x25519::KEY_BYTES }>,
    /// The shared secret of ML-KEM.
    pub kem: Secret<32>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider;
    use proptest::prelude::*;

    fn key(seed: u8) -> OneTimeKey {
        let seed = OneTimeSeed::new(Secret::new([seed; SEED_BYTES]));
        seed.key(provider::default()).unwrap()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn only_the_length_of_a_public_key_parses(bytes in proptest::collection::vec(any::<u8>(), 0..1_300)) {
            prop_assume!(bytes.len() != PUBLIC_BYTES);
            prop_assert_eq!(OneTimePublicKey::from_bytes(&bytes), Err(KeyError::Encoding));
            let ciphertext = OneTimeCiphertext::from_bytes(&bytes);
            prop_assert_eq!(ciphertext.is_some(), bytes.len() == CIPHERTEXT_BYTES);
        }
    }

    #[test]
    fn public_keys_survive_encoding() {
        let key = key(7);
        let bytes = key.public().to_bytes();
        assert_eq!(bytes.len(), PUBLIC_BYTES);
        assert_eq!(
            OneTimePublicKey::from_bytes(&bytes).as_ref(),
            Ok(key.public())
        );
        let longer = [&bytes[..], &[0]].concat();
        for bytes in [&bytes[1..], &longer, &[]] {
            assert_eq!(OneTimePublicKey::from_bytes(bytes), Err(KeyError::Encoding));
        }
    }

    #[test]
    fn debug_shows_nothing() {
        let key = key(7);
        let seed = OneTimeSeed::new(Secret::new([7; SEED_BYTES]));
        assert_eq!(
            format!("{key:?} {:?} {seed:?}", key.public()),
            "OneTimeKey(..) OneTimePublicKey(..) OneTimeSeed(Secret<96>(..))"
        );
    }
}
