//! The sender's end of an epoch.

use super::chain::ChainKey;
use super::grant::{self, EpochHeader, GRANT_BYTES, GrantKind};
use super::sealed::{self, MAX_PLAINTEXT, SealedHeader};
use super::{MAX_EPOCH_AGE_S, MAX_MESSAGES, MESSAGE_ID_BYTES};
use crate::certificate::Certificate;
use crate::error::{KeyError, OpenFailed};
use crate::identity::Identity;
use crate::reader::Reader;
use crate::secret::Secret;
use rand_core::CryptoRng;
use std::fmt;
use thiserror::Error;
use zeroize::Zeroizing;

const STATE_VERSION: u8 = 1;

/// The reason why a message could not be sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SealError {
    /// The plaintext is longer than [`MAX_PLAINTEXT`].
    #[error("the message is longer than 60 KiB: send it as a file")]
    TooLong,
    /// The epoch has sealed [`MAX_MESSAGES`] messages.
    #[error("the epoch is used up: open a new one")]
    EpochSpent,
}

/// The sending end of an epoch. It is not `Clone`: two copies would seal two messages under one
/// key. For the same reason a state from [`SendEpoch::to_bytes`] may be restored only if it was
/// stored in the transaction that stored the last sealed message.
pub struct SendEpoch {
    header: EpochHeader,
    next_index: u32,
    chain: ChainKey,
    /// Empty once a message of the epoch was acknowledged.
    grant: Vec<u8>,
}

impl SendEpoch {
    /// Opens an epoch: draws a content key, wraps it under `receiver_certificate`, and signs the
    /// grant with `identity`. Costs one RSA-4096 signature. `header.sender` must be the peer id of
    /// `identity`, `header.receiver` that of `receiver_certificate`, and `header.epoch` higher than
    /// all before it in this incarnation.
    pub fn open(
        rng: &mut dyn CryptoRng,
        identity: &Identity,
        receiver_certificate: &Certificate,
        header: EpochHeader,
    ) -> Result<Self, KeyError> {
        Self::open_kind(
            rng,
            GrantKind::Session,
            identity,
            receiver_certificate,
            header,
        )
    }

    pub(super) fn open_kind(
        rng: &mut dyn CryptoRng,
        kind: GrantKind,
        identity: &Identity,
        receiver_certificate: &Certificate,
        header: EpochHeader,
    ) -> Result<Self, KeyError> {
        let (grant, chain) = grant::issue(rng, kind, identity, receiver_certificate, &header)?;
        Ok(Self {
            header,
            next_index: 0,
            chain,
            grant,
        })
    }

    /// Returns the signed grant, which must accompany the epoch's messages until one is
    /// acknowledged. Empty after [`SendEpoch::confirm`].
    pub fn grant(&self) -> &[u8] {
        &self.grant
    }

    /// Drops the grant. Called once a message of the epoch is acknowledged, as the receiver then
    /// has the grant. This also makes [`SendEpoch::to_bytes`] smaller.
    pub fn confirm(&mut self) {
        self.grant = Vec::new();
    }

    /// Seals the next message and advances the chain by one step, which erases the used key.
    pub fn seal(
        &mut self,
        message_id: &[u8; MESSAGE_ID_BYTES],
        plaintext: &[u8],
    ) -> Result<Vec<u8>, SealError> {
        if plaintext.len() > MAX_PLAINTEXT {
            return Err(SealError::TooLong);
        }
        if self.next_index >= MAX_MESSAGES {
            return Err(SealError::EpochSpent);
        }
        let header = SealedHeader {
            incarnation: self.header.incarnation,
            epoch: self.header.epoch,
            index: self.next_index,
            message_id: *message_id,
        };
        let (seed, next) = self.chain.step();
        self.chain = next;
        self.next_index += 1;
        Ok(sealed::seal(&seed.keys(), &self.header, &header, plaintext))
    }

    /// Returns whether a new epoch is due: this one is 24 hours old or has sealed 10,000 messages.
    pub const fn is_spent(&self, now_s: u64) -> bool {
        now_s.saturating_sub(self.header.created_s) >= MAX_EPOCH_AGE_S
            || self.next_index >= MAX_MESSAGES
    }

    /// Returns sender, receiver, incarnation and number of the epoch.
    pub const fn header(&self) -> &EpochHeader {
        &self.header
    }

    /// Returns the epoch's number.
    pub const fn epoch(&self) -> u64 {
        self.header.epoch
    }

    /// Returns the sender's incarnation.
    pub const fn incarnation(&self) -> u64 {
        self.header.incarnation
    }

    /// Returns when the epoch was opened, Unix time in seconds.
    pub const fn created_s(&self) -> u64 {
        self.header.created_s
    }

    /// Returns the index of the next message, which is the number of messages sealed so far.
    pub const fn next_index(&self) -> u32 {
        self.next_index
    }

    /// Encodes the state: 127 bytes, and the grant until it is confirmed. It contains secrets: it
    /// belongs into an encrypted store, and into no backup (docs/spec/envelope.md#stored-state).
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let size = 1 + EpochHeader::BYTES + 4 + 32 + 2 + self.grant.len();
        let mut out = Zeroizing::new(Vec::with_capacity(size));
        out.push(STATE_VERSION);
        self.header.write(&mut out);
        out.extend_from_slice(&self.next_index.to_be_bytes());
        out.extend_from_slice(self.chain.secret().expose());
        // A grant is GRANT_BYTES long or absent.
        out.extend_from_slice(&(self.grant.len() as u16).to_be_bytes());
        out.extend_from_slice(&self.grant);
        out
    }

    /// Decodes [`SendEpoch::to_bytes`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, OpenFailed> {
        Self::read(bytes).ok_or(OpenFailed)
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        if reader.u8()? != STATE_VERSION {
            return None;
        }
        let header = EpochHeader::read(&mut reader)?;
        let next_index = reader.u32().filter(|index| *index <= MAX_MESSAGES)?;
        let chain = ChainKey::from_secret(Secret::new(reader.array()?));
        let length = usize::from(reader.u16()?);
        let grant = reader.rest().to_vec();
        let grant_ok = grant.len() == length && (grant.is_empty() || length == GRANT_BYTES);
        grant_ok.then_some(Self {
            header,
            next_index,
            chain,
            grant,
        })
    }
}

impl fmt::Debug for SendEpoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SendEpoch(..)")
    }
}
