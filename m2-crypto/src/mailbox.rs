//! Tokens that each permit one deposit into a mailbox (docs/spec/mailbox.md#tokens).
//!
//! The owner of a mailbox gives a contact a seed. The i-th deposit carries the i-th token derived
//! from it. The provider stores only hashes of tokens, unordered, and can't tell which contact a
//! token belongs to.

use crate::label;
use crate::peer_id::PeerId;
use crate::secret::Secret;
use rand_core::CryptoRng;

/// How many tokens of one contact the owner registers ahead.
pub const TOKENS_AHEAD: u64 = 64;

/// The seed from which one contact's tokens for one mailbox derive.
#[derive(Debug, Clone)]
pub struct TokenSeed(Secret<32>);

/// The hash of a token, which the provider stores. It does not reveal the token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TokenHash(pub [u8; 32]);

impl TokenSeed {
    /// Draws a new seed.
    pub fn random<R: CryptoRng + ?Sized>(rng: &mut R) -> Self {
        Self(Secret::random(rng))
    }

    /// Wraps a seed read from an offer or a store.
    pub const fn new(bytes: Secret<32>) -> Self {
        Self(bytes)
    }

    /// Returns the bytes, for an offer or a store.
    pub const fn expose(&self) -> &[u8; 32] {
        self.0.expose()
    }

    /// Derives the token of deposit number `index` into the mailbox of `owner`.
    pub fn token(&self, owner: &PeerId, index: u64) -> Secret<32> {
        Secret::new(label::mac(
            self.0.expose(),
            "deposit token",
            &[owner.as_bytes(), &index.to_be_bytes()],
        ))
    }
}

impl TokenHash {
    /// Returns the hash of a token.
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
