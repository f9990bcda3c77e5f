//! ML-KEM-768 (FIPS 203): the second half of a side's session key
//! (docs/spec/handshake.md#1-hello).
//!
//! Keys are generated from seeds of 64 bytes. Generation, encapsulation and the
//! check of public keys always use RustCrypto; [`Provider::kem_key`] decapsulates.

use crate::error::KeyError;
use crate::provider::{KemCiphertext, KemPrivateKey, Provider};
use crate::secret::Secret;
use ml_kem::array::Array;
use ml_kem::kem::KeyExport as _;
use ml_kem::{B32, DecapsulationKey, EncapsulationKey, MlKem768, Seed};
use rand_core::CryptoRng;
use std::fmt;
use zeroize::{Zeroize as _, Zeroizing};

/// Bytes of a public key.
pub const PUBLIC_BYTES: usize = 1_184;
/// Bytes of a ciphertext.
pub const CIPHERTEXT_BYTES: usize = size_of::<Ciphertext>();
/// Bytes of a seed.
pub const SEED_BYTES: usize = 64;

/// The ciphertext of an encapsulated secret.
pub type Ciphertext = KemCiphertext;

/// A key pair.
pub struct KemKeyPair {
    public: KemPublicKey,
    private: Box<dyn KemPrivateKey>,
}

impl KemKeyPair {
    /// Generates a pair. Takes microseconds.
    ///
    /// Errors: [`KeyError::Library`] if the provider refuses the key.
    pub fn generate<R: CryptoRng + ?Sized>(
        rng: &mut R,
        provider: &dyn Provider,
    ) -> Result<Self, KeyError> {
        Self::from_seed(&Secret::random(rng), provider)
    }

    /// Derives a pair from its seed.
    ///
    /// Errors: [`KeyError::Library`] if the provider refuses the key.
    pub fn from_seed(seed: &Secret<SEED_BYTES>, provider: &dyn Provider) -> Result<Self, KeyError> {
        let mut bytes = Seed::from(*seed.expose());
        let key = DecapsulationKey::<MlKem768>::from_seed(bytes);
        bytes.zeroize();
        Ok(Self {
            public: KemPublicKey::of(key.encapsulation_key().clone()),
            private: provider.kem_key(&key)?,
        })
    }

    /// Returns the half that is sent to the peer.
    pub const fn public(&self) -> &KemPublicKey {
        &self.public
    }

    /// Returns the secret that the peer encapsulated to [`Self::public`]. For an altered ciphertext,
    /// this is another secret, and no error.
    ///
    /// Errors: [`KeyError::Library`] if the provider fails.
    pub fn decapsulate(&self, ciphertext: &Ciphertext) -> Result<Secret<32>, KeyError> {
        self.private.decapsulate(ciphertext)
    }
}

impl fmt::Debug for KemKeyPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KemKeyPair(..)")
    }
}

/// A public key, with all its coefficients reduced.
#[derive(Clone)]
pub struct KemPublicKey {
    key: EncapsulationKey<MlKem768>,
    bytes: [u8; PUBLIC_BYTES],
}

impl KemPublicKey {
    /// Parses a key.
    ///
    /// Errors: [`KeyError::Encoding`] if a coefficient is not below 3,329.
    pub fn from_bytes(bytes: &[u8; PUBLIC_BYTES]) -> Result<Self, KeyError> {
        let key = EncapsulationKey::new(&Array::from(*bytes)).map_err(|_| KeyError::Encoding)?;
        Ok(Self { key, bytes: *bytes })
    }

    fn of(key: EncapsulationKey<MlKem768>) -> Self {
        let bytes = key.to_bytes().into();
        Self { key, bytes }
    }

    /// Returns the key's bytes.
    pub const fn bytes(&self) -> &[u8; PUBLIC_BYTES] {
        &self.bytes
    }

    /// Draws a secret and encapsulates it. Consumes 32 random bytes.
    pub fn encapsulate<R: CryptoRng + ?Sized>(&self, rng: &mut R) -> (Ciphertext, Secret<32>) {
        let mut message = Zeroizing::new([0; 32]);
        rng.fill_bytes(&mut *message);
        let mut entropy = B32::from(*message);
        let (ciphertext, mut secret) = self.key.encapsulate_deterministic(&entropy);
        entropy.zeroize();
        let shared = Secret::new(secret.into());
        secret.zeroize();
        (ciphertext.into(), shared)
    }
}

impl PartialEq for KemPublicKey {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl Eq for KemPublicKey {}

impl fmt::Debug for KemPublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KemPublicKey(..)")
    }
}
