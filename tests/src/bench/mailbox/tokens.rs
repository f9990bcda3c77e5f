//! Deposits whose token and letter are derived from a number.

use super::LETTER;
use bytes::Bytes;
use m2_crypto::deposit::{BoxKey, DepositNonce, DepositToken, Period};
use m2_crypto::{PeerId, Secret, label};
use m2_mailbox::store;
use m2_net::wire::mailbox::Deposit;
use std::time::{SystemTime, UNIX_EPOCH};

/// The key of all boxes, and the period of their tokens.
#[derive(Clone)]
pub(super) struct Tokens {
    key: BoxKey,
    period: Period,
}

impl Tokens {
    /// Returns tokens that are valid now, made with a key that is derived from `seed`.
    pub(super) fn new(seed: u8) -> anyhow::Result<Self> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
        Ok(Self {
            key: BoxKey::new(Secret::new([seed; 32])),
            period: Period::at(now.as_secs()),
        })
    }

    /// Returns the same tokens for deposits that a store takes at another time.
    pub(super) fn at(&self, now_ms: u64) -> Self {
        Self {
            key: self.key.clone(),
            period: Period::at(now_ms / 1_000),
        }
    }

    /// Returns the key of the boxes.
    pub(super) fn key(&self) -> BoxKey {
        self.key.clone()
    }

    /// Returns the deposit of this index, as sent in a session.
    pub(super) fn deposit(&self, owner: PeerId, index: u64) -> Deposit {
        Deposit {
            owner,
            token: self.token(&owner, index),
            sealed: letter(index),
        }
    }

    /// Returns the same deposit in the form that a store takes.
    pub(super) fn stored(&self, owner: PeerId, index: u64) -> store::Deposit {
        store::Deposit {
            owner,
            token: self.token(&owner, index),
            letter: letter(index),
        }
    }

    fn token(&self, owner: &PeerId, index: u64) -> DepositToken {
        self.key.token(owner, nonce(owner, index), self.period)
    }
}

/// Returns the owner of a box whose letters are never collected: a peer id without a key.
pub(super) fn stranger(number: u64) -> PeerId {
    PeerId::from_bytes(label::hash("bench box", &[&number.to_be_bytes()]))
}

fn nonce(owner: &PeerId, index: u64) -> DepositNonce {
    let hash = label::hash("bench nonce", &[owner.as_bytes(), &index.to_be_bytes()]);
    let mut nonce = [0; 16];
    nonce
        .iter_mut()
        .zip(hash)
        .for_each(|(place, byte)| *place = byte);
    DepositNonce::from_bytes(nonce)
}

/// Returns a letter. Its content does not matter, as the store encrypts whole pages.
fn letter(index: u64) -> Bytes {
    let mut sealed = vec![0x5a; LETTER];
    sealed
        .iter_mut()
        .zip(index.to_be_bytes())
        .for_each(|(place, byte)| *place = byte);
    sealed.into()
}
