//! The sender's end of an epoch.

use super::chain::ChainKey;
use super::epoch_secret::EpochShare;
use super::grant::{self, EpochHeader};
use super::sealed::{self, MAX_PLAINTEXT, SealedHeader};
use super::{MAX_MESSAGES, MESSAGE_ID_BYTES};
use crate::certificate::Certificate;
use crate::error::KeyError;
use crate::identity::Identity;
use rand_core::CryptoRng;
use std::fmt;
use thiserror::Error;

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

/// The sending end of an epoch. It is not `Clone`, and has no stored form: two copies would seal two
/// messages under one key.
pub struct SendEpoch {
    header: EpochHeader,
    next_index: u32,
    chain: ChainKey,
    /// Empty once a message of the epoch was acknowledged.
    grant: Vec<u8>,
}

impl SendEpoch {
    /// Opens an epoch in the session whose `share` it takes: draws a content key, wraps it under
    /// `receiver_certificate`, and signs the grant with `identity`. Costs one RSA-4096 signature.
    /// `header.sender` must be the peer id of `identity`, `header.receiver` that of
    /// `receiver_certificate`, and `header.epoch` higher than all before it in this incarnation.
    pub fn open(
        rng: &mut dyn CryptoRng,
        identity: &Identity,
        receiver_certificate: &Certificate,
        header: EpochHeader,
        share: &EpochShare,
    ) -> Result<Self, KeyError> {
        let (grant, chain) = grant::issue(rng, share, identity, receiver_certificate, &header)?;
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
    /// has the grant.
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
}

impl fmt::Debug for SendEpoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SendEpoch(..)")
    }
}
