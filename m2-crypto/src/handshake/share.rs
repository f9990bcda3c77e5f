//! Session keys, and the secrets that the sides send to each other under them
//! (docs/spec/handshake.md#session-keys).

use super::error::{HandshakeError, LocalError, PeerMisbehaved};
use crate::error::KeyError;
use crate::kem::{self, KemKeyPair, KemPublicKey};
use crate::reader::Reader;
use crate::secret::Secret;
use crate::session_key::{MODULUS_BYTES, SessionKeyPair, SessionPublicKey};
use rand_core::CryptoRng;

/// Bytes of a [`Share`].
pub const SHARE_BYTES: usize = MODULUS_BYTES + kem::PUBLIC_BYTES;
/// Bytes of [`WrappedSecrets`].
pub const WRAPPED_BYTES: usize = MODULUS_BYTES + kem::CIPHERTEXT_BYTES;

/// The public halves of a side's session key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Share {
    /// The RSA-2048 half.
    pub rsa: SessionPublicKey,
    /// The ML-KEM-768 half.
    pub kem: KemPublicKey,
}

impl Share {
    /// Appends modulus\[256\] ‖ ML-KEM key\[1184\].
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.rsa.modulus());
        out.extend_from_slice(self.kem.bytes());
    }

    /// Parses a share.
    ///
    /// Errors: [`PeerMisbehaved::Malformed`] for another length, [`PeerMisbehaved::BadKey`] if one of
    /// the keys is not acceptable.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, PeerMisbehaved> {
        let mut reader = Reader::new(bytes);
        let halves = (|| Some((reader.array()?, reader.array()?)))();
        let (modulus, key) = halves.ok_or(PeerMisbehaved::Malformed)?;
        reader.end().ok_or(PeerMisbehaved::Malformed)?;
        Ok(Self {
            rsa: SessionPublicKey::from_modulus(&modulus).map_err(|_| PeerMisbehaved::BadKey)?,
            kem: KemPublicKey::from_bytes(&key).map_err(|_| PeerMisbehaved::BadKey)?,
        })
    }

    /// Draws the secrets of this side and wraps them for the owner of the share. `label` is the OAEP
    /// label. Draws the AES key, the OAEP seed and the input of ML-KEM, in this order.
    pub(super) fn wrap(
        &self,
        rng: &mut dyn CryptoRng,
        label: &[u8],
    ) -> Result<(SideSecrets, WrappedSecrets), PeerMisbehaved> {
        let aes = Secret::random(rng);
        // Encryption can fail only because of the peer's key.
        let rsa = self.rsa.wrap(rng, label, aes.expose());
        let rsa = rsa
            .and_then(|wrapped| wrapped.try_into().map_err(|_| KeyError::Library))
            .map_err(|_| PeerMisbehaved::BadKey)?;
        let (ciphertext, shared) = self.kem.encapsulate(rng);
        let secrets = SideSecrets { aes, kem: shared };
        let wrapped = WrappedSecrets {
            rsa,
            kem: ciphertext,
        };
        Ok((secrets, wrapped))
    }

    /// Returns whether either half is one of `own`.
    pub(super) fn reflects(&self, own: &Self) -> bool {
        self.rsa == own.rsa || self.kem == own.kem
    }
}

/// The secrets of one side, wrapped under the session key of the other.
#[derive(Debug, Clone)]
pub struct WrappedSecrets {
    /// The AES key, under the RSA half.
    pub rsa: [u8; MODULUS_BYTES],
    /// The ciphertext of ML-KEM.
    pub kem: kem::Ciphertext,
}

impl WrappedSecrets {
    /// Appends wrapped\[256\] ‖ ciphertext\[1088\].
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.rsa);
        out.extend_from_slice(&self.kem);
    }

    pub(super) fn take(reader: &mut Reader<'_>) -> Option<Self> {
        Some(Self {
            rsa: reader.array()?,
            kem: reader.array()?,
        })
    }
}

/// The two secrets that one side contributes to a session.
#[derive(Debug)]
pub struct SideSecrets {
    /// The AES key that the side drew.
    pub aes: Secret<16>,
    /// The secret that the side encapsulated to the other one.
    pub kem: Secret<32>,
}

/// A side's session key. It is dropped once the secrets that were wrapped for it are opened.
#[derive(Debug)]
pub(super) struct SessionKey {
    rsa: SessionKeyPair,
    kem: KemKeyPair,
    share: Share,
}

impl SessionKey {
    /// Completes a session key with a fresh ML-KEM half. Draws its seed.
    pub(super) fn new(rsa: SessionKeyPair, rng: &mut dyn CryptoRng) -> Result<Self, LocalError> {
        let kem = rsa.kem_half(rng).map_err(LocalError::Key)?;
        let share = Share {
            rsa: rsa.public().clone(),
            kem: kem.public().clone(),
        };
        Ok(Self { rsa, kem, share })
    }

    /// Returns the public halves.
    pub(super) const fn share(&self) -> &Share {
        &self.share
    }

    /// Returns the RSA half, which no session has used.
    pub(super) fn into_rsa_half(self) -> SessionKeyPair {
        self.rsa
    }

    /// Opens the secrets of the other side. An altered ciphertext of ML-KEM is no error: it yields
    /// another secret.
    pub(super) fn open(
        self,
        rng: &mut dyn CryptoRng,
        label: &[u8],
        wrapped: &WrappedSecrets,
    ) -> Result<SideSecrets, HandshakeError> {
        let aes = self.rsa.unwrap(rng, label, &wrapped.rsa).ok();
        let aes = aes.and_then(|secret| Secret::from_slice(&secret));
        Ok(SideSecrets {
            aes: aes.ok_or(PeerMisbehaved::Decrypt)?,
            kem: self
                .kem
                .decapsulate(&wrapped.kem)
                .map_err(LocalError::Key)?,
        })
    }
}
