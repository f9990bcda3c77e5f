//! The keys of a letter (docs/spec/letter.md#outside).

use super::outside::TAG_BYTES;
use super::secret::LetterSecret;
use crate::deposit::DepositNonce;
use crate::envelope::MessageKeys;
use crate::label;
use crate::one_time_key::{OneTimePublicKey, OneTimeSecrets};
use crate::peer_id::PeerId;
use crate::secret::Secret;

/// Bytes of the secret that is wrapped under the receiver's certificate.
pub(super) const WRAPPED_SECRET_BYTES: usize = 32;

/// Bytes of the four secrets from which a letter's keys are derived.
const ROOT_BYTES: usize = WRAPPED_SECRET_BYTES + 3 * 32;

/// The box and the nonce for which a letter is sealed.
#[derive(Clone, Copy)]
pub(super) struct Destination<'a> {
    /// The receiver, which also identifies the box.
    pub(super) receiver: &'a PeerId,
    /// The nonce of the token.
    pub(super) nonce: &'a DepositNonce,
}

impl Destination<'_> {
    /// Returns the OAEP label of the wrapped secret.
    pub(super) fn wrap_label(&self) -> Vec<u8> {
        let fields = [&self.receiver.as_bytes()[..], self.nonce.as_bytes()];
        label::encode("wrapped secret", &fields)
    }

    /// Returns the hash of the public values: nonce, one-time key and the head of the outside.
    pub(super) fn salt(&self, key: &OneTimePublicKey, head: &[u8]) -> [u8; 32] {
        label::hash(
            "letter values",
            &[self.nonce.as_bytes(), &key.to_bytes(), head],
        )
    }

    /// Returns the tag over head and ciphertext.
    pub(super) fn tag(&self, keys: &MessageKeys, tagged: &[u8]) -> [u8; TAG_BYTES] {
        let fields = [&self.receiver.as_bytes()[..], self.nonce.as_bytes(), tagged];
        label::mac(keys.mac.expose(), "sealed letter", &fields)
    }
}

/// The secrets of one letter, without the letter secret.
pub(super) struct RootSecrets {
    /// The secret that is wrapped under the receiver's certificate.
    pub(super) wrapped: Secret<WRAPPED_SECRET_BYTES>,
    /// The secrets under the one-time key.
    pub(super) one_time: OneTimeSecrets,
}

impl RootSecrets {
    /// Derives cipher key, IV and MAC key: KDF(wrapped secret ‖ X25519 ‖ ML-KEM ‖ letter secret, salt,
    /// "letter root", box, nonce).
    pub(super) fn keys(
        &self,
        letter_secret: &LetterSecret,
        destination: Destination<'_>,
        salt: &[u8; 32],
    ) -> MessageKeys {
        let parts = [
            self.wrapped.expose(),
            self.one_time.x25519.expose(),
            self.one_time.kem.expose(),
            letter_secret.expose(),
        ];
        let root = Secret::<ROOT_BYTES>::filled(|root| {
            for (to, from) in root.iter_mut().zip(parts.into_iter().flatten()) {
                *to = *from;
            }
        });
        let Destination { receiver, nonce } = destination;
        let fields = [&receiver.as_bytes()[..], nonce.as_bytes()];
        MessageKeys::split(&label::derive(root.expose(), salt, "letter root", &fields))
    }
}
