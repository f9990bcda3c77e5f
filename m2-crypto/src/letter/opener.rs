//! Opening a letter (docs/spec/letter.md#opening).

use super::header::LetterHeader;
use super::inside::Inside;
use super::outside::Outside;
use super::root::{Destination, RootSecrets};
use super::secret::LetterSecret;
use super::secrets::MAX_LETTER_SECRETS;
use crate::certificate::Certificate;
use crate::deposit::DepositNonce;
use crate::envelope::MessageKeys;
use crate::error::OpenFailed;
use crate::identity::Identity;
use crate::one_time_key::{OneTimeKey, OneTimeSecrets};
use crate::peer_id::PeerId;
use crate::secret::Secret;
use aes::Aes128;
use cbc::cipher::block_padding::NoPadding;
use cbc::cipher::{BlockModeDecrypt, KeyIvInit};
use rand_core::CryptoRng;
use std::fmt;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// The keys for the letter with one nonce, and the contact to which that nonce was given.
pub struct Opener<'a> {
    /// The local identity.
    pub identity: &'a Identity,
    /// The local peer id, which also identifies the box.
    pub peer_id: &'a PeerId,
    /// The nonce under which the letter was deposited.
    pub nonce: &'a DepositNonce,
    /// The one-time key that was given away with the nonce.
    pub key: &'a OneTimeKey,
    /// The letter secrets of the contact, newest first. Those after the first
    /// [`MAX_LETTER_SECRETS`] are not tried.
    pub secrets: &'a [&'a LetterSecret],
    /// The peer id of the contact to which the nonce was given.
    pub sender: &'a PeerId,
    /// The certificate of that contact.
    pub certificate: &'a Certificate,
}

/// An opened, authenticated letter.
#[derive(Clone, PartialEq, Eq)]
pub struct OpenedLetter {
    /// The signed fields.
    pub header: LetterHeader,
    /// The message that the sender sealed.
    pub payload: Zeroizing<Vec<u8>>,
}

impl Opener<'_> {
    /// Opens a letter. Costs one RSA-4096 private operation, and one key derivation and one MAC for
    /// each letter secret that is tried. A letter whose tag is not valid costs the same whatever the
    /// reason, unless its length is wrong.
    ///
    /// Errors: [`OpenFailed`] for every reason. The caller keeps the one-time key then.
    pub fn open(&self, rng: &mut dyn CryptoRng, letter: &[u8]) -> Result<OpenedLetter, OpenFailed> {
        let outside = Outside::parse(letter).ok_or(OpenFailed)?;
        let inside = self.decrypt(rng, &outside)?;
        let inside = Inside::parse(&inside).ok_or(OpenFailed)?;
        self.authenticate(&outside, &inside)
    }

    /// Finds the keys under which the tag is valid, and decrypts the inside.
    fn decrypt(
        &self,
        rng: &mut dyn CryptoRng,
        outside: &Outside<'_>,
    ) -> Result<Zeroizing<Vec<u8>>, OpenFailed> {
        let destination = self.destination();
        let secrets = self.decapsulate(rng, outside);
        let salt = destination.salt(self.key.public(), outside.head);
        let tried = self.secrets.iter().take(MAX_LETTER_SECRETS);
        let keys = tried
            .map(|secret| secrets.keys(secret, destination, &salt))
            .find(|keys| self.is_tagged(keys, outside))
            .ok_or(OpenFailed)?;
        let mut inside = Zeroizing::new(outside.ciphertext.to_vec());
        cbc::Decryptor::<Aes128>::new(keys.enc.expose().into(), keys.iv.expose().into())
            .decrypt_padded::<NoPadding>(&mut inside)
            .map_err(|_| OpenFailed)?;
        Ok(inside)
    }

    /// Decapsulates the secrets. Each one that fails is replaced by a random one and takes the same
    /// path up to the tag as a wrong secret, so the two can't be distinguished
    /// (docs/spec/letter.md#opening).
    fn decapsulate(&self, rng: &mut dyn CryptoRng, outside: &Outside<'_>) -> RootSecrets {
        let replacement = Secret::random(rng);
        let replacements = OneTimeSecrets {
            x25519: Secret::random(rng),
            kem: Secret::random(rng),
        };
        let label = self.destination().wrap_label();
        let wrapped = self.identity.unwrap(rng, &label, outside.wrapped).ok();
        let wrapped = wrapped.and_then(|secret| Secret::from_slice(&secret));
        let one_time = self.key.decapsulate(&outside.one_time);
        RootSecrets {
            wrapped: wrapped.unwrap_or(replacement),
            one_time: one_time.unwrap_or(replacements),
        }
    }

    fn is_tagged(&self, keys: &MessageKeys, outside: &Outside<'_>) -> bool {
        let tag = self.destination().tag(keys, outside.tagged);
        tag.ct_eq(outside.tag).into()
    }

    /// Checks that the contact to which the nonce was given signed the letter.
    fn authenticate(
        &self,
        outside: &Outside<'_>,
        inside: &Inside<'_>,
    ) -> Result<OpenedLetter, OpenFailed> {
        if inside.header.sender != *self.sender {
            return Err(OpenFailed);
        }
        let signed = inside.header.signed(outside.head, self.nonce, self.peer_id);
        self.certificate
            .verify(&signed, inside.signature)
            .map_err(|_| OpenFailed)?;
        Ok(OpenedLetter {
            header: inside.header,
            payload: Zeroizing::new(inside.payload.to_vec()),
        })
    }

    const fn destination(&self) -> Destination<'_> {
        Destination {
            receiver: self.peer_id,
            nonce: self.nonce,
        }
    }
}

impl fmt::Debug for Opener<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Opener(..)")
    }
}

impl fmt::Debug for OpenedLetter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OpenedLetter(..)")
    }
}
