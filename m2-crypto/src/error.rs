//! Errors shared by several modules.

use thiserror::Error;

/// Something sealed did not open. One error for every reason (wrong key, wrong label, truncated,
/// altered), so that nobody learns which it was (spec §1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("decryption failed")]
pub struct OpenFailed;

/// A key is not one that M2 accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum KeyError {
    /// The bytes are not the DER or PEM that was expected, or not its canonical form.
    #[error("the key is not in the expected encoding")]
    Encoding,
    /// The modulus is not odd, not of exactly the required size, or the exponent is not 65537.
    #[error("the RSA key has not the size or exponent that M2 uses")]
    Parameters,
    /// The file is encrypted and the passphrase does not open it.
    #[error("the passphrase does not open the key")]
    Passphrase,
    /// The file is encrypted and no passphrase was given.
    #[error("the key is encrypted: a passphrase is needed")]
    PassphraseNeeded,
    /// The signature does not verify under this key.
    #[error("the signature is not valid")]
    Signature,
    /// The cryptography library refused an operation on a key that had been accepted.
    #[error("the cryptography library refused the key")]
    Library,
}
