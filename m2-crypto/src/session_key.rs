//! Ephemeral RSA-2048 keys: the half of a session key that takes long to generate
//! (docs/spec/handshake.md#1-hello).

use crate::certificate::{check_public_key, oaep_encrypt};
use crate::error::{KeyError, OpenFailed};
use crate::kem::KemKeyPair;
use crate::provider::{PrivateKey, Provider};
use rand_core::CryptoRng;
use rsa::traits::PublicKeyParts;
use rsa::{BoxedUint, RsaPrivateKey, RsaPublicKey};
use std::fmt;
use zeroize::Zeroizing;

/// Bytes of a 2048-bit modulus: the wire form of a session public key, and the length of a key
/// wrapped under it.
pub const MODULUS_BYTES: usize = 256;

/// A session's key pair. Serves one established session, then is dropped and zeroized.
pub struct SessionKeyPair {
    public: SessionPublicKey,
    private: Box<dyn PrivateKey>,
    provider: &'static dyn Provider,
}

impl SessionKeyPair {
    /// Generates a pair. Takes tens of milliseconds: take pairs from a pool instead of generating
    /// one while a peer waits.
    pub fn generate<R: CryptoRng + ?Sized>(
        rng: &mut R,
        provider: &'static dyn Provider,
    ) -> Result<Self, KeyError> {
        let key = RsaPrivateKey::new(rng, MODULUS_BYTES * 8).map_err(|_| KeyError::Library)?;
        Self::from_key(&key, provider)
    }

    /// Creates a pair from a fixed key, for test vectors.
    pub fn from_key(
        key: &RsaPrivateKey,
        provider: &'static dyn Provider,
    ) -> Result<Self, KeyError> {
        Ok(Self {
            public: SessionPublicKey::from_key(key.to_public_key())?,
            private: provider.private_key(key)?,
            provider,
        })
    }

    /// Returns the half that is sent to the peer.
    pub const fn public(&self) -> &SessionPublicKey {
        &self.public
    }

    /// Generates the other half of the session key. It is fresh in every handshake, also when this
    /// half is used again.
    pub(crate) fn kem_half(&self, rng: &mut dyn CryptoRng) -> Result<KemKeyPair, KeyError> {
        KemKeyPair::generate(rng, self.provider)
    }

    /// Unwraps a secret that the peer wrapped under [`Self::public`] with the same `label`.
    pub fn unwrap(
        &self,
        rng: &mut dyn CryptoRng,
        label: &[u8],
        wrapped: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, OpenFailed> {
        self.private.unwrap(rng, label, wrapped)
    }
}

impl fmt::Debug for SessionKeyPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionKeyPair(..)")
    }
}

/// The public half: a modulus of exactly 2048 bits; the exponent is always 65537.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionPublicKey {
    key: RsaPublicKey,
    modulus: [u8; MODULUS_BYTES],
}

impl SessionPublicKey {
    /// Parses the wire form: the modulus, big-endian.
    pub fn from_modulus(modulus: &[u8; MODULUS_BYTES]) -> Result<Self, KeyError> {
        let n = BoxedUint::from_be_slice(modulus, 8 * MODULUS_BYTES as u32)
            .map_err(|_| KeyError::Encoding)?;
        let key =
            RsaPublicKey::new(n, BoxedUint::from(65_537_u32)).map_err(|_| KeyError::Parameters)?;
        Self::from_key(key)
    }

    fn from_key(key: RsaPublicKey) -> Result<Self, KeyError> {
        check_public_key(&key, MODULUS_BYTES)?;
        let modulus = key
            .n_bytes()
            .as_ref()
            .try_into()
            .map_err(|_| KeyError::Parameters)?;
        Ok(Self { key, modulus })
    }

    /// Returns the wire form: the modulus, big-endian.
    pub const fn modulus(&self) -> &[u8; MODULUS_BYTES] {
        &self.modulus
    }

    /// Wraps a short secret (OAEP-SHA256 with `label`). The result has [`MODULUS_BYTES`] bytes.
    pub fn wrap<R: CryptoRng + ?Sized>(
        &self,
        rng: &mut R,
        label: &[u8],
        secret: &[u8],
    ) -> Result<Vec<u8>, KeyError> {
        oaep_encrypt(&self.key, rng, label, secret)
    }
}
