//! Sealing a letter (docs/spec/letter.md#outside).

use super::header::LetterHeader;
use super::inside::Inside;
use super::outside::MAX_LETTER_PAYLOAD;
use super::root::{Destination, RootSecrets};
use super::secret::LetterSecret;
use crate::certificate::Certificate;
use crate::deposit::DepositNonce;
use crate::error::KeyError;
use crate::identity::Identity;
use crate::one_time_key::OneTimePublicKey;
use crate::peer_id::PeerId;
use crate::secret::Secret;
use aes::Aes128;
use cbc::cipher::block_padding::NoPadding;
use cbc::cipher::{BlockModeEncrypt, KeyIvInit};
use rand_core::CryptoRng;
use std::fmt;
use thiserror::Error;

/// The reason why a letter could not be sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum LetterError {
    /// The payload is too long.
    #[error("the payload is longer than {MAX_LETTER_PAYLOAD} bytes")]
    TooLong,
    /// A key was rejected.
    #[error(transparent)]
    Key(#[from] KeyError),
}

/// The receiver of one letter, with the keys for it.
pub struct Recipient<'a> {
    /// The receiver's certificate.
    pub certificate: &'a Certificate,
    /// The receiver's peer id, which also identifies its box.
    pub peer_id: &'a PeerId,
    /// The nonce of the token with which the letter is deposited.
    pub nonce: &'a DepositNonce,
    /// The one-time key that came with the token.
    pub key: &'a OneTimePublicKey,
    /// The secret of a session with the receiver.
    pub secret: &'a LetterSecret,
}

impl Recipient<'_> {
    /// Seals one message into a letter of one of [`LETTER_SIZES`](super::LETTER_SIZES).
    /// `header.sender` must be the peer id of `sender`. Costs one RSA-4096 signature. Draws the wrapped
    /// secret, the OAEP seed, the private X25519 key, the input of ML-KEM and the signature's salt, in
    /// this order.
    ///
    /// Errors: [`LetterError::TooLong`] if the payload has more than [`MAX_LETTER_PAYLOAD`] bytes,
    /// [`LetterError::Key`] if a key of the receiver is not usable or signing fails.
    pub fn seal(
        &self,
        rng: &mut dyn CryptoRng,
        sender: &Identity,
        header: &LetterHeader,
        payload: &[u8],
    ) -> Result<Vec<u8>, LetterError> {
        // A payload that is too long is rejected before the signature, which is the most expensive step.
        if payload.len() > MAX_LETTER_PAYLOAD {
            return Err(LetterError::TooLong);
        }
        let destination = Destination {
            receiver: self.peer_id,
            nonce: self.nonce,
        };
        let (head, secrets) = self.encapsulate(rng, destination)?;
        let signature = sender.sign(rng, &header.signed(&head, self.nonce, self.peer_id))?;
        let inside = Inside {
            header: *header,
            signature: &signature,
            payload,
        };
        let mut inside = inside.encode().ok_or(LetterError::TooLong)?;
        let salt = destination.salt(self.key, &head);
        let keys = secrets.keys(self.secret, destination, &salt);
        let length = inside.len();
        cbc::Encryptor::<Aes128>::new(keys.enc.expose().into(), keys.iv.expose().into())
            .encrypt_padded::<NoPadding>(&mut inside, length)
            .map_err(|_| KeyError::Library)?;
        let mut letter = head;
        letter.extend_from_slice(&inside);
        let tag = destination.tag(&keys, &letter);
        letter.extend_from_slice(&tag);
        Ok(letter)
    }

    /// Draws the secrets, and returns the head: wrapped secret ‖ ephemeral key ‖ ciphertext of ML-KEM.
    fn encapsulate(
        &self,
        rng: &mut dyn CryptoRng,
        destination: Destination<'_>,
    ) -> Result<(Vec<u8>, RootSecrets), KeyError> {
        let wrapped = Secret::random(rng);
        let label = destination.wrap_label();
        let mut head = self.certificate.wrap(rng, &label, wrapped.expose())?;
        let (ciphertext, one_time) = self.key.encapsulate(rng)?;
        head.extend_from_slice(&ciphertext.to_bytes());
        Ok((head, RootSecrets { wrapped, one_time }))
    }
}

impl fmt::Debug for Recipient<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Recipient(..)")
    }
}
