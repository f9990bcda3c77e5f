//! The share of a session in the letters of its two sides (docs/spec/letter.md#letter-secrets).

use crate::envelope::SESSION_NAME_BYTES;
use crate::secret::Secret;
use std::fmt;

/// The secret that a session leaves with both sides, for letters in both directions. A party
/// that obtained the keys of one side before that session opens no letter under it.
#[derive(Clone, PartialEq, Eq)]
pub struct LetterSecret {
    session: [u8; SESSION_NAME_BYTES],
    secret: Secret<32>,
}

impl LetterSecret {
    /// The exporter's label for the secret.
    pub const EXPORT: &'static [u8] = b"letter secret";

    /// Wraps the exported secret of the session with this name, or both read from a store.
    pub const fn new(session: [u8; SESSION_NAME_BYTES], secret: Secret<32>) -> Self {
        Self { session, secret }
    }

    /// Returns the name of the session, by which the two sides refer to the secret.
    pub const fn session(&self) -> &[u8; SESSION_NAME_BYTES] {
        &self.session
    }

    /// Returns the secret's bytes, for a store.
    pub const fn expose(&self) -> &[u8; 32] {
        self.secret.expose()
    }
}

impl fmt::Debug for LetterSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LetterSecret(..)")
    }
}
