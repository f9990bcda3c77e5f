//! User certificates: the public half of a long-term RSA-4096 key
//! (docs/spec/identity.md#certificate-and-peer-id).

use crate::circle::CircleId;
use crate::error::KeyError;
use crate::peer_id::PeerId;
use rand_core::CryptoRng;
use rsa::pkcs8::{DecodePublicKey, EncodePublicKey};
use rsa::pss::{Signature, VerifyingKey};
use rsa::signature::Verifier;
use rsa::traits::PublicKeyParts;
use rsa::{BoxedUint, Oaep, RsaPublicKey};
use sha2::Sha256;
use std::fmt;

/// Bytes of a 4096-bit modulus, of a signature and of a key wrapped under a certificate.
pub const MODULUS_BYTES: usize = 512;

/// A validated RSA-4096 public key: exactly 4096 bits, odd, e = 65537, canonical DER.
#[derive(Clone, PartialEq, Eq)]
pub struct Certificate {
    key: RsaPublicKey,
    spki: Vec<u8>,
}

impl Certificate {
    /// Parses SubjectPublicKeyInfo DER. Only the canonical encoding is accepted, so that one key
    /// has one peer id.
    pub fn from_spki_der(spki: &[u8]) -> Result<Self, KeyError> {
        // A 4096-bit SPKI is 550 bytes; reject longer input before parsing it.
        if spki.len() > 1024 {
            return Err(KeyError::Encoding);
        }
        let key = RsaPublicKey::from_public_key_der(spki).map_err(|_| KeyError::Encoding)?;
        let certificate = Self::from_key(key)?;
        if certificate.spki != spki {
            return Err(KeyError::Encoding);
        }
        Ok(certificate)
    }

    pub(crate) fn from_key(key: RsaPublicKey) -> Result<Self, KeyError> {
        check_public_key(&key, MODULUS_BYTES)?;
        let spki = key
            .to_public_key_der()
            .map_err(|_| KeyError::Encoding)?
            .into_vec();
        Ok(Self { key, spki })
    }

    /// Returns the SPKI DER that peers exchange.
    pub fn spki_der(&self) -> &[u8] {
        &self.spki
    }

    /// Returns the peer id of this certificate in `circle`.
    pub fn peer_id(&self, circle: &CircleId) -> PeerId {
        PeerId::of(circle, &self.spki)
    }

    /// Wraps a short secret (OAEP-SHA256 with `label`) so that only the holder of the private key
    /// can read it. `secret` is at most 446 bytes; the result has [`MODULUS_BYTES`] bytes.
    pub fn wrap<R: CryptoRng + ?Sized>(
        &self,
        rng: &mut R,
        label: &[u8],
        secret: &[u8],
    ) -> Result<Vec<u8>, KeyError> {
        oaep_encrypt(&self.key, rng, label, secret)
    }

    /// Verifies a PSS-SHA256 signature over `message`.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), KeyError> {
        if signature.len() != MODULUS_BYTES {
            return Err(KeyError::Signature);
        }
        let signature = Signature::try_from(signature).map_err(|_| KeyError::Signature)?;
        VerifyingKey::<Sha256>::new(self.key.clone())
            .verify(message, &signature)
            .map_err(|_| KeyError::Signature)
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Certificate(..)")
    }
}

/// Requires an odd modulus of exactly `modulus_bytes` with its top bit set, and e = 65537
/// (docs/spec/conventions.md#primitives).
pub(crate) fn check_public_key(key: &RsaPublicKey, modulus_bytes: usize) -> Result<(), KeyError> {
    let modulus = key.n_bytes();
    let top_bit_set = modulus.first().is_some_and(|byte| byte & 0x80 != 0);
    let odd = modulus.last().is_some_and(|byte| byte & 1 == 1);
    let exponent_ok = key.e() == &BoxedUint::from(65_537_u32);
    if modulus.len() == modulus_bytes && top_bit_set && odd && exponent_ok {
        Ok(())
    } else {
        Err(KeyError::Parameters)
    }
}

pub(crate) fn oaep_encrypt<R: CryptoRng + ?Sized>(
    key: &RsaPublicKey,
    rng: &mut R,
    label: &[u8],
    secret: &[u8],
) -> Result<Vec<u8>, KeyError> {
    key.encrypt(rng, Oaep::<Sha256>::new_with_label(label), secret)
        .map_err(|_| KeyError::Library)
}
