//! Messages 4 and 5, Proof: a certificate and its signature over the transcript
//! (docs/spec/handshake.md#4-and-5-proof).

use super::error::{HandshakeError, LocalError, PeerMisbehaved};
use super::hello::put_bytes;
use super::message::{Message, MessageKind};
use super::transcript::TranscriptHash;
use crate::certificate::{Certificate, MODULUS_BYTES};
use crate::identity::Identity;
use crate::label;
use crate::reader::Reader;
use rand_core::CryptoRng;
use std::fmt;

const ANONYMOUS: u8 = 0;
const SIGNED: u8 = 1;

/// The side that made a proof. The role is signed, so a proof can't be reflected to its author.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The side that dialled.
    Initiator,
    /// The side that accepted.
    Responder,
}

impl Role {
    const fn name(self) -> &'static [u8] {
        match self {
            Self::Initiator => b"initiator",
            Self::Responder => b"responder",
        }
    }

    const fn kind(self) -> MessageKind {
        match self {
            Self::Initiator => MessageKind::InitiatorProof,
            Self::Responder => MessageKind::ResponderProof,
        }
    }
}

/// Returns the bytes that a certificate signs: the role, the transcript up to the previous message,
/// and the certificate itself, so that no second key can be made that fits the signature.
pub fn signed_bytes(role: Role, transcript: &TranscriptHash, spki: &[u8]) -> Vec<u8> {
    label::encode("handshake proof", &[role.name(), transcript, spki])
}

/// A parsed Proof, not verified yet.
pub enum Proof {
    /// No certificate. Initiator only.
    Anonymous,
    /// A certificate and a signature.
    Signed {
        /// SPKI DER, not parsed yet: its hash is checked first.
        spki: Vec<u8>,
        /// PSS-SHA256 over [`signed_bytes`].
        signature: Box<[u8; MODULUS_BYTES]>,
    },
}

impl Proof {
    /// Signs with `identity`. Costs one RSA-4096 private operation.
    pub(super) fn sign(
        role: Role,
        transcript: &TranscriptHash,
        identity: &Identity,
        rng: &mut dyn CryptoRng,
    ) -> Result<Self, LocalError> {
        let spki = identity.certificate().spki_der().to_vec();
        let signature = identity
            .sign(rng, &signed_bytes(role, transcript, &spki))
            .map_err(LocalError::Key)?
            .into_boxed_slice()
            .try_into()
            .map_err(|_| LocalError::Key(crate::error::KeyError::Library))?;
        Ok(Self::Signed { spki, signature })
    }

    /// Encodes 0, or 1 ‖ SPKI with length u16 ‖ signature[512].
    pub(super) fn encode(&self, role: Role) -> Message {
        match self {
            Self::Anonymous => Message::new(role.kind(), &[ANONYMOUS]),
            Self::Signed { spki, signature } => {
                let mut body = Vec::with_capacity(1100);
                body.push(SIGNED);
                put_bytes(&mut body, spki);
                body.extend_from_slice(signature.as_slice());
                Message::new(role.kind(), &body)
            }
        }
    }

    /// Parses the Proof of `role`.
    pub fn parse(role: Role, message: &Message) -> Result<Self, PeerMisbehaved> {
        let body = message.expect(role.kind())?;
        Self::fields(Reader::new(body)).ok_or(PeerMisbehaved::Malformed)
    }

    fn fields(mut reader: Reader<'_>) -> Option<Self> {
        let proof = match reader.u8()? {
            ANONYMOUS => Self::Anonymous,
            SIGNED => {
                let length = usize::from(reader.u16()?);
                Self::Signed {
                    spki: reader.slice(length)?.to_vec(),
                    signature: Box::new(reader.array()?),
                }
            }
            _ => return None,
        };
        reader.end()?;
        Some(proof)
    }
}

impl fmt::Debug for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Anonymous => "Proof::Anonymous",
            Self::Signed { .. } => "Proof::Signed(..)",
        })
    }
}

/// Parses the certificate and verifies its signature.
pub(super) fn verify(
    role: Role,
    transcript: &TranscriptHash,
    spki: &[u8],
    signature: &[u8],
) -> Result<Certificate, HandshakeError> {
    let certificate = Certificate::from_spki_der(spki).map_err(|_| PeerMisbehaved::BadKey)?;
    certificate
        .verify(&signed_bytes(role, transcript, spki), signature)
        .map_err(|_| PeerMisbehaved::Signature)?;
    Ok(certificate)
}
