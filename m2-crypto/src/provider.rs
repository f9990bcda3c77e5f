//! The cryptography providers: who does RSA private operations, packet AEAD and obfuscation.
//!
//! Two implementations give the same bytes for the same inputs (signatures aside, which are
//! randomized but verify under both): [`rustcrypto`], pure Rust, and `aws_lc`, the default
//! where it is built in. Key generation, encodings and public operations are always RustCrypto's.

#[cfg(feature = "aws-lc")]
pub mod aws_lc;
pub mod rustcrypto;

use crate::error::{KeyError, OpenFailed};
use crate::secret::Secret;
use rand_core::CryptoRng;
use rsa::RsaPrivateKey;
use zeroize::Zeroizing;

/// A nonce of AES-GCM, 12 bytes.
pub type Nonce = [u8; 12];
/// A tag of AES-GCM, 16 bytes.
pub type Tag = [u8; 16];
/// A counter block of AES-CTR, 16 bytes.
pub type Counter = [u8; 16];

/// One implementation of the operations that a provider may do its own way.
pub trait Provider: Send + Sync + std::fmt::Debug + 'static {
    /// A short name for status output and benches.
    fn name(&self) -> &'static str;

    /// Imports an RSA private key for [`PrivateKey`] operations.
    fn private_key(&self, key: &RsaPrivateKey) -> Result<Box<dyn PrivateKey>, KeyError>;

    /// AES-128-GCM under `key`.
    fn aead(&self, key: &Secret<16>) -> Box<dyn Aead>;

    /// AES-128-CTR under `key`, for the obfuscation.
    fn ctr(&self, key: &Secret<16>) -> Box<dyn Ctr>;
}

/// RSA private operations: OAEP-SHA256 and PSS-SHA256 (32-byte salt) only (spec §1).
pub trait PrivateKey: Send + Sync {
    /// Opens an OAEP ciphertext made with the same `label`.
    fn unwrap(
        &self,
        rng: &mut dyn CryptoRng,
        label: &[u8],
        ciphertext: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, OpenFailed>;

    /// Signs `message` (hashed with SHA-256). The signature has the modulus's length.
    fn sign(&self, rng: &mut dyn CryptoRng, message: &[u8]) -> Result<Vec<u8>, KeyError>;
}

/// AES-128-GCM with a detached tag, in place.
pub trait Aead: Send + Sync {
    /// Encrypts `in_out` and returns the tag.
    fn seal(&self, nonce: &Nonce, aad: &[u8], in_out: &mut [u8]) -> Tag;

    /// Decrypts `in_out` if `tag` is right. On failure its content is unspecified.
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
    /// Combines `in_out` with the key stream that begins at `counter`, one 128-bit big-endian
    /// number that wraps around. Enciphers and deciphers alike.
    fn apply(&self, counter: &Counter, in_out: &mut [u8]);
}

/// The default provider of this build.
pub fn default() -> &'static dyn Provider {
    #[cfg(feature = "aws-lc")]
    return &aws_lc::AwsLc;
    #[cfg(not(feature = "aws-lc"))]
    &rustcrypto::RustCrypto
}

/// Every provider of this build, for tests that must hold under all.
pub fn all() -> &'static [&'static dyn Provider] {
    &[
        &rustcrypto::RustCrypto,
        #[cfg(feature = "aws-lc")]
        &aws_lc::AwsLc,
    ]
}
