//! Deposits, each with a token of its own, made from a number.

use super::LETTER;
use bytes::Bytes;
use m2_crypto::mailbox::{TokenHash, TokenSeed};
use m2_crypto::{PeerId, Secret, label};
use m2_net::wire::mailbox::{Deposit, Letter, LetterId};
use m2d::mailbox::store;
use std::ops::Range;

/// The tokens of one contact for any box.
#[derive(Clone)]
pub(super) struct Tokens(TokenSeed);

impl Tokens {
    /// Different ones for each byte.
    pub(super) fn new(seed: u8) -> Self {
        Self(TokenSeed::new(Secret::new([seed; 32])))
    }

    /// What the owner of a box registers.
    pub(super) fn hashes(&self, owner: &PeerId, indices: Range<u64>) -> Vec<[u8; 32]> {
        indices
            .map(|index| TokenHash::of(&self.0.token(owner, index)).0)
            .collect()
    }

    /// A deposit with the token of this index, as it is said in a session.
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

    /// The same as it is brought to a store.
    pub(super) fn stored(&self, owner: PeerId, index: u64) -> store::Deposit {
        store::Deposit {
            owner,
            token: TokenHash::of(&self.0.token(&owner, index)).0,
            id: id(&owner, index),
            letter: letter(index),
        }
    }
}

/// The owner of a box whose letters nobody collects.
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

/// Its content does not matter: the store enciphers whole pages.
fn letter(index: u64) -> Bytes {
    let mut sealed = vec![0x5a; LETTER];
    sealed
        .iter_mut()
        .zip(index.to_be_bytes())
        .for_each(|(place, byte)| *place = byte);
    sealed.into()
}
