//! Cryptography providers: the implementations of private operations of RSA and ML-KEM, packet AEAD
//! and obfuscation.
//!
//! The two implementations return the same bytes for the same inputs, except for signatures, which
//! are randomized but verify under both. They are [`rustcrypto`], in pure Rust, and `aws_lc`, the
//! default where it is compiled in. Key generation, encodings and public-key operations always use
//! RustCrypto.

#[cfg(feature = "aws-lc")]
pub mod aws_lc;
pub mod rustcrypto;

use crate::error::{KeyError, OpenFailed};
use crate::secret::Secret;
use ml_kem::{DecapsulationKey, MlKem768};
use rand_core::CryptoRng;
use rsa::RsaPrivateKey;
use zeroize::Zeroizing;

/// A nonce of AES-GCM, 12 bytes.
pub type Nonce = [u8; 12];
/// A tag of AES-GCM, 16 bytes.
pub type Tag = [u8; 16];
/// A ciphertext of ML-KEM-768, 1,088 bytes.
pub type KemCiphertext = [u8; 1_088];
/// A counter block of AES-CTR, 16 bytes.
pub type Counter = [u8; 16];

/// An implementation of the operations that differ between providers.
pub trait Provider: Send + Sync + std::fmt::Debug + 'static {
    /// Returns a short name for status output and benchmarks.
    fn name(&self) -> &'static str;

    /// Imports an RSA private key for [`PrivateKey`] operations.
    fn private_key(&self, key: &RsaPrivateKey) -> Result<Box<dyn PrivateKey>, KeyError>;

    /// Imports an ML-KEM-768 private key for [`KemPrivateKey`] operations.
    fn kem_key(&self, key: &DecapsulationKey<MlKem768>)
    -> Result<Box<dyn KemPrivateKey>, KeyError>;

    /// Creates an AES-128-GCM instance under `key`.
    fn aead(&self, key: &Secret<16>) -> Box<dyn Aead>;

    /// Creates an AES-128-CTR instance under `key`, for obfuscation.
    fn ctr(&self, key: &Secret<16>) -> Box<dyn Ctr>;
}

/// RSA private operations: OAEP-SHA256 and PSS-SHA256 (32-byte salt) only
/// (docs/spec/conventions.md#primitives).
pub trait PrivateKey: Send + Sync {
    /// Opens an OAEP ciphertext that was made with the same `label`.
    fn unwrap(
        &self,
        rng: &mut dyn CryptoRng,
        label: &[u8],
        ciphertext: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, OpenFailed>;

    /// Signs `message` (hashed with SHA-256). The signature is as long as the modulus.
    fn sign(&self, rng: &mut dyn CryptoRng, message: &[u8]) -> Result<Vec<u8>, KeyError>;
}

/// ML-KEM-768 decapsulation.
pub trait KemPrivateKey: Send + Sync {
    /// Returns the secret in `ciphertext`. For an altered ciphertext, this is a secret that depends
    /// on the private key, and no error.
    ///
    /// Errors: [`KeyError::Library`] if the library fails.
    fn decapsulate(&self, ciphertext: &KemCiphertext) -> Result<Secret<32>, KeyError>;
}

/// AES-128-GCM with a detached tag, in place.
pub trait Aead: Send + Sync {
    /// Encrypts `in_out` and returns the tag.
    fn seal(&self, nonce: &Nonce, aad: &[u8], in_out: &mut [u8]) -> Tag;

    /// Decrypts `in_out` if `tag` is valid. On failure the buffer's content is unspecified.
    fn open(
        &self,
        nonce: &Nonce,
        aad: &[u8],
        in_out: &mut [u8],
        tag: &Tag,
    ) -> Result<(), OpenFailed>;
}

/// AES-128-CTR in place. The key schedule is computed once.
pub trait Ctr: Send + Sync {
    /// Xors `in_out` with the key stream that begins at `counter`, a 128-bit big-endian number that
    /// wraps around. Encrypts and decrypts alike.
    fn apply(&self, counter: &Counter, in_out: &mut [u8]);
}

/// Returns the default provider of this build.
pub fn default() -> &'static dyn Provider {
    #[cfg(feature = "aws-lc")]
    return &aws_lc::AwsLc;
    #[cfg(not(feature = "aws-lc"))]
    &rustcrypto::RustCrypto
}

/// Returns every provider of this build, for tests that must hold under all of them.
pub fn all() -> &'static [&'static dyn Provider] {
    &[
        &rustcrypto::RustCrypto,
        #[cfg(feature = "aws-lc")]
        &aws_lc::AwsLc,
    ]
}
