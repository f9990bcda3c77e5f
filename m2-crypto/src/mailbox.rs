//! Tokens that let one deposit each into a mailbox (docs/spec/mailbox.md, spec §9).
//!
//! The owner of a box gives a contact a seed. The i-th deposit carries the i-th token that
//! follows from it; the provider knows only hashes, in no order, and can't tell whose they are.

use crate::label;
use crate::peer_id::PeerId;
use crate::secret::Secret;
use rand_core::CryptoRng;

/// How many tokens of one contact are registered ahead (spec §9).
pub const TOKENS_AHEAD: u64 = 64;

/// What the tokens of one contact for one box follow from.
#[derive(Debug, Clone)]
pub struct TokenSeed(Secret<32>);

/// What a provider keeps of a token: 32 bytes that tell nothing of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TokenHash(pub [u8; 32]);

impl TokenSeed {
    /// A new seed.
    pub fn random<R: CryptoRng + ?Sized>(rng: &mut R) -> Self {
        Self(Secret::random(rng))
    }

    /// The seed that an offer or a store holds.
    pub const fn new(bytes: Secret<32>) -> Self {
        Self(bytes)
    }

    /// The bytes, for an offer or a store.
    pub const fn expose(&self) -> &[u8; 32] {
        self.0.expose()
    }

    /// The token of the deposit number `index` into the box of `owner`.
    pub fn token(&self, owner: &PeerId, index: u64) -> Secret<32> {
        Secret::new(label::mac(
            self.0.expose(),
            "deposit token",
            &[owner.as_bytes(), &index.to_be_bytes()],
        ))
    }
}

impl TokenHash {
    /// The hash of a token.
    pub fn of(token: &Secret<32>) -> Self {
        Self(label::hash("deposit token hash", &[token.expose()]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_differ_by_seed_owner_and_index() {
        let owners = [PeerId::from_bytes([1; 32]), PeerId::from_bytes([2; 32])];
        let seeds = [3, 4].map(|byte| TokenSeed::new(Secret::new([byte; 32])));
        let mut hashes = Vec::new();
        for seed in &seeds {
            for owner in &owners {
                for index in [0, 1, u64::MAX] {
                    hashes.push(TokenHash::of(&seed.token(owner, index)));
                }
            }
        }
        let count = hashes.len();
        hashes.sort_unstable();
        hashes.dedup();
        assert_eq!(hashes.len(), count);
    }
}
