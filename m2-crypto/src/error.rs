//! Errors shared by several modules.

use thiserror::Error;

/// Decryption failed. All causes (wrong key, wrong label, truncated, altered) are one error, so
/// that an attacker can't distinguish them (docs/spec/conventions.md#primitives).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("decryption failed")]
pub struct OpenFailed;

/// The reason why a key or a signature was rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum KeyError {
    /// The bytes are not the expected DER or PEM, or not its canonical form.
    #[error("the key is not in the expected encoding")]
    Encoding,
    /// The modulus is even or not exactly of the required size, or the exponent is not 65537.
    #[error("the RSA key does not have the size or exponent that M2 requires")]
    Parameters,
    /// The key file is encrypted and the passphrase does not open it.
    #[error("the passphrase does not open the key")]
    Passphrase,
    /// The key file is encrypted and no passphrase was passed.
    #[error("the key is encrypted: a passphrase is needed")]
    PassphraseNeeded,
    /// The signature does not verify under this key.
    #[error("the signature is not valid")]
    Signature,
    /// The cryptography library failed to use a key that had been accepted.
    #[error("the cryptography library refused the key")]
    Library,
}
