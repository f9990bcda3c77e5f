//! Deposits whose token, letter and id are derived from a number.

use super::LETTER;
use bytes::Bytes;
use m2_crypto::mailbox::{TokenHash, TokenSeed};
use m2_crypto::{PeerId, Secret, label};
use m2_mailbox::store;
use m2_net::wire::mailbox::{Deposit, Letter, LetterId};
use std::ops::Range;

/// The deposit tokens of one contact, for any box.
#[derive(Clone)]
pub(super) struct Tokens(TokenSeed);

impl Tokens {
    /// Returns the tokens derived from `seed`.
    pub(super) fn new(seed: u8) -> Self {
        Self(TokenSeed::new(Secret::new([seed; 32])))
    }

    /// Returns the token hashes that the owner of a box registers.
    pub(super) fn hashes(&self, owner: &PeerId, indices: Range<u64>) -> Vec<[u8; 32]> {
        indices
            .map(|index| TokenHash::of(&self.0.token(owner, index)).0)
            .collect()
    }

    /// Returns a deposit with the token of this index, as sent in a session.
    pub(super) fn deposit(&self, owner: PeerId, index: u64) -> Deposit {
        Deposit {
            owner,
            token: self.0.token(&owner, index),
            letter: Letter {
                id: LetterId(id(&owner, index)),
                sealed: letter(index),
            },
        }
    }

    /// Returns the same deposit in the form that a store takes.
    pub(super) fn stored(&self, owner: PeerId, index: u64) -> store::Deposit {
        store::Deposit {
            owner,
            token: TokenHash::of(&self.0.token(&owner, index)).0,
            id: id(&owner, index),
            letter: letter(index),
        }
    }
}

/// Returns the owner of a box whose letters are never collected: a peer id without a key.
pub(super) fn stranger(number: u64) -> PeerId {
    PeerId::from_bytes(label::hash("bench box", &[&number.to_be_bytes()]))
}

fn id(owner: &PeerId, index: u64) -> [u8; 16] {
    let hash = label::hash("bench id", &[owner.as_bytes(), &index.to_be_bytes()]);
    let mut id = [0; 16];
    id.iter_mut()
        .zip(hash)
        .for_each(|(place, byte)| *place = byte);
    id
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
