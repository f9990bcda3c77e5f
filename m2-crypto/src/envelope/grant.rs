//! Grants: the key exchange that starts an epoch (docs/spec/envelope.md#grant).

use super::chain::ChainKey;
use super::epoch_secret::{EpochSecret, EpochShare, SESSION_NAME_BYTES};
use super::{MAX_GRANT_AGE_S, MAX_GRANT_AHEAD_S};
use crate::certificate::{Certificate, MODULUS_BYTES};
use crate::error::KeyError;
use crate::identity::Identity;
use crate::label;
use crate::peer_id::PeerId;
use crate::reader::Reader;
use crate::secret::Secret;
use rand_core::CryptoRng;
use std::fmt;
use subtle::ConstantTimeEq;
use thiserror::Error;

/// Bytes of a signed grant. All grants have this length.
pub const GRANT_BYTES: usize = UNSIGNED_BYTES + MODULUS_BYTES;

const VERSION: u8 = 2;
/// The byte after the version, which has one legal value.
const KIND: u8 = 1;
const UNSIGNED_BYTES: usize = 2 + EpochHeader::BYTES + SESSION_NAME_BYTES + 4 + 32 + MODULUS_BYTES;

/// Identifies an epoch: sender, receiver, incarnation and number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct EpochHeader {
    /// The peer that signs the grant and seals the messages.
    pub sender: PeerId,
    /// The peer that opens the messages.
    pub receiver: PeerId,
    /// The sender's incarnation.
    pub incarnation: u64,
    /// The epoch's number, strictly increasing within (sender, receiver, incarnation).
    pub epoch: u64,
    /// When the epoch was opened, Unix time in seconds by the sender's clock.
    pub created_s: u64,
}

impl EpochHeader {
    pub(super) const BYTES: usize = 32 + 32 + 8 + 8 + 8;

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.sender.as_bytes());
        out.extend_from_slice(self.receiver.as_bytes());
        out.extend_from_slice(&self.incarnation.to_be_bytes());
        out.extend_from_slice(&self.epoch.to_be_bytes());
        out.extend_from_slice(&self.created_s.to_be_bytes());
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        Some(Self {
            sender: PeerId::from_bytes(reader.array()?),
            receiver: PeerId::from_bytes(reader.array()?),
            incarnation: reader.u64()?,
            epoch: reader.u64()?,
            created_s: reader.u64()?,
        })
    }
}

/// The reason why a grant was rejected. All are the sender's fault except `WrongReceiverKey`, which
/// also occurs after the receiver's certificate has changed, and the two about age, which a wrong
/// clock on either side causes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum GrantRefused {
    /// It is not a grant of this version.
    #[error("the grant is malformed")]
    Malformed,
    /// It names another receiver.
    #[error("the grant is for another peer")]
    NotForUs,
    /// It names a sender other than the peer that presented it.
    #[error("the grant names another sender")]
    WrongSender,
    /// It was made for another session, or for an epoch of this session whose share is erased.
    #[error("the grant belongs to another session")]
    OtherSession,
    /// Its content key is wrapped under a key that the receiver does not have.
    #[error("the grant's content key is wrapped under another key of the receiver")]
    WrongReceiverKey,
    /// The signature is not the sender's.
    #[error("the grant's signature is not valid")]
    Signature,
    /// It is more than 15 days old.
    #[error("the grant is older than 15 days")]
    TooOld,
    /// Its date is more than one day in the future: one of the two clocks is wrong.
    #[error("the grant is from the future: check the clocks of both sides")]
    FromTheFuture,
    /// The wrapped key did not open.
    #[error("the grant's wrapped key does not open")]
    Decrypt,
}

/// A well-formed grant. Nothing in it is authenticated before [`Grant::verify`].
#[derive(Clone, Copy)]
pub struct Grant<'a> {
    bytes: &'a [u8],
    header: EpochHeader,
    session: [u8; SESSION_NAME_BYTES],
    step: u32,
    receiver_key: [u8; 32],
    wrapped: &'a [u8],
    signature: &'a [u8],
}

impl<'a> Grant<'a> {
    /// Parses the wire form, exactly [`GRANT_BYTES`] long. Uses no cryptography, so that callers
    /// can first reject an epoch by its number.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, GrantRefused> {
        Self::read(bytes).ok_or(GrantRefused::Malformed)
    }

    fn read(bytes: &'a [u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        if [reader.u8()?, reader.u8()?] != [VERSION, KIND] {
            return None;
        }
        let grant = Self {
            bytes,
            header: EpochHeader::read(&mut reader)?,
            session: reader.array()?,
            step: reader.u32()?,
            receiver_key: reader.array()?,
            wrapped: reader.slice(MODULUS_BYTES)?,
            signature: reader.slice(MODULUS_BYTES)?,
        };
        reader.end()?;
        Some(grant)
    }

    /// Returns the epoch that the grant claims to open. Not authenticated.
    pub const fn header(&self) -> &EpochHeader {
        &self.header
    }

    /// Checks that the grant was made for the session of `secret`, for an epoch that the session still
    /// has a share for.
    pub fn check_session(&self, secret: &EpochSecret) -> Result<(), GrantRefused> {
        secret.check(&self.session, self.step)
    }

    /// Verifies receiver, sender, age, receiver key and signature, cheapest first. `sender` must be
    /// the peer id of `certificate`; `receiver` and `receiver_certificate` are the local ones.
    pub fn verify(
        &self,
        certificate: &Certificate,
        sender: &PeerId,
        receiver: &PeerId,
        receiver_certificate: &Certificate,
        now_s: u64,
    ) -> Result<VerifiedGrant<'a>, GrantRefused> {
        if self.header.receiver != *receiver {
            return Err(GrantRefused::NotForUs);
        }
        if self.header.sender != *sender {
            return Err(GrantRefused::WrongSender);
        }
        check_age(self.header.created_s, now_s)?;
        let key: bool = key_hash(receiver_certificate)
            .ct_eq(&self.receiver_key)
            .into();
        if !key {
            return Err(GrantRefused::WrongReceiverKey);
        }
        self.check_signature(certificate)?;
        Ok(VerifiedGrant(*self))
    }

    /// Verifies only that the holder of `certificate` signed this grant, regardless of its age. A
    /// sender recognises its own grant by this when a receiver presents it.
    pub fn check_signature(&self, certificate: &Certificate) -> Result<(), GrantRefused> {
        let (unsigned, _) = self
            .bytes
            .split_at_checked(UNSIGNED_BYTES)
            .ok_or(GrantRefused::Malformed)?;
        certificate
            .verify(&label::encode("grant", &[unsigned]), self.signature)
            .map_err(|_| GrantRefused::Signature)
    }
}

impl fmt::Debug for Grant<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Grant(..)")
    }
}

/// A grant whose sender, receiver, age and signature have been verified.
#[derive(Debug, Clone, Copy)]
pub struct VerifiedGrant<'a>(Grant<'a>);

impl VerifiedGrant<'_> {
    /// Unwraps the content key with the private key of `identity` and derives the chain's root with
    /// the epoch's share of the session. The session's secret moves on past the epoch.
    pub fn unwrap(
        &self,
        rng: &mut dyn CryptoRng,
        identity: &Identity,
        session: &mut EpochSecret,
    ) -> Result<OpenedGrant, GrantRefused> {
        let header = self.0.header;
        let key = identity
            .unwrap(rng, &wrap_label(&header), self.0.wrapped)
            .map_err(|_| GrantRefused::Decrypt)?;
        let key = Secret::from_slice(&key).ok_or(GrantRefused::Decrypt)?;
        self.0.check_session(session)?;
        let share = session.share_of(self.0.step)?;
        Ok(OpenedGrant {
            header,
            session: self.0.session,
            root: ChainKey::root(&key, &share, self.0.bytes, &header),
        })
    }
}

/// A grant whose content key was unwrapped, from which a [`ReceiveEpoch`](super::ReceiveEpoch)
/// starts.
pub struct OpenedGrant {
    pub(super) header: EpochHeader,
    pub(super) session: [u8; SESSION_NAME_BYTES],
    pub(super) root: ChainKey,
}

impl fmt::Debug for OpenedGrant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OpenedGrant(..)")
    }
}

/// Creates and signs a grant. Returns its bytes and the root of its chain.
pub(super) fn issue(
    rng: &mut dyn CryptoRng,
    share: &EpochShare,
    identity: &Identity,
    receiver: &Certificate,
    header: &EpochHeader,
) -> Result<(Vec<u8>, ChainKey), KeyError> {
    let key = Secret::<16>::random(rng);
    let wrapped = receiver.wrap(rng, &wrap_label(header), key.expose())?;
    let mut grant = Vec::with_capacity(GRANT_BYTES);
    grant.extend_from_slice(&[VERSION, KIND]);
    header.write(&mut grant);
    grant.extend_from_slice(&share.session);
    grant.extend_from_slice(&share.step.to_be_bytes());
    grant.extend_from_slice(&key_hash(receiver));
    grant.extend_from_slice(&wrapped);
    let signature = identity.sign(rng, &label::encode("grant", &[&grant]))?;
    grant.extend_from_slice(&signature);
    let root = ChainKey::root(&key, share, &grant, header);
    Ok((grant, root))
}

/// Returns a hash that identifies a signed grant. Two grants of one epoch number have different
/// hashes.
pub fn grant_hash(grant: &[u8]) -> [u8; 32] {
    label::hash("signed grant", &[grant])
}

fn check_age(created_s: u64, now_s: u64) -> Result<(), GrantRefused> {
    if now_s.saturating_sub(created_s) > MAX_GRANT_AGE_S {
        return Err(GrantRefused::TooOld);
    }
    if created_s.saturating_sub(now_s) > MAX_GRANT_AHEAD_S {
        return Err(GrantRefused::FromTheFuture);
    }
    Ok(())
}

/// Returns the OAEP label: purpose, sender, receiver, incarnation and epoch
/// (docs/spec/envelope.md#grant). It prevents moving a wrapped key into another grant.
fn wrap_label(header: &EpochHeader) -> Vec<u8> {
    label::encode(
        "content key",
        &[
            header.sender.as_bytes(),
            header.receiver.as_bytes(),
            &header.incarnation.to_be_bytes(),
            &header.epoch.to_be_bytes(),
        ],
    )
}

fn key_hash(certificate: &Certificate) -> [u8; 32] {
    label::hash("receiver key", &[certificate.spki_der()])
}
