//! The key from which the tokens of one box are made (docs/spec/mailbox.md#tokens).

use super::nonce::DepositNonce;
use super::period::Period;
use super::token::{DepositToken, TAG_BYTES};
use crate::label;
use crate::peer_id::PeerId;
use crate::secret::Secret;
use rand_core::CryptoRng;

/// The key of one box at one provider, 32 random bytes. The owner issues tokens with it and the
/// provider checks them with it. A new key ends all tokens of the box.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BoxKey(Secret<32>);

impl BoxKey {
    /// Draws a key.
    pub fn random<R: CryptoRng + ?Sized>(rng: &mut R) -> Self {
        Self(Secret::random(rng))
    }

    /// Wraps a key read from a message or a store.
    pub const fn new(bytes: Secret<32>) -> Self {
        Self(bytes)
    }

    /// Returns the bytes, for a message or a store.
    pub const fn expose(&self) -> &[u8; 32] {
        self.0.expose()
    }

    /// Issues a token for the box of `owner` with a random nonce.
    pub fn issue<R: CryptoRng + ?Sized>(
        &self,
        rng: &mut R,
        owner: &PeerId,
        period: Period,
    ) -> DepositToken {
        self.token(owner, DepositNonce::random(rng), period)
    }

    /// Makes the token for the box of `owner` with this nonce.
    pub fn token(&self, owner: &PeerId, nonce: DepositNonce, period: Period) -> DepositToken {
        DepositToken {
            nonce,
            period,
            tag: self.tag(owner, &nonce, period),
        }
    }

    /// Computes the first 16 bytes of MAC(key, "box token", box ‖ nonce ‖ period).
    pub(super) fn tag(
        &self,
        owner: &PeerId,
        nonce: &DepositNonce,
        period: Period,
    ) -> [u8; TAG_BYTES] {
        let period = period.number().to_be_bytes();
        let fields = [&owner.as_bytes()[..], nonce.as_bytes(), &period];
        label::short_mac(self.0.expose(), "box token", &fields)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_differ_by_key_owner_nonce_and_period() {
        let mut tags = Vec::new();
        for key in [1, 2].map(|byte| BoxKey::new(Secret::new([byte; 32]))) {
            for owner in [3, 4].map(|byte| PeerId::from_bytes([byte; 32])) {
                for nonce in [5, 6].map(|byte| DepositNonce::from_bytes([byte; 16])) {
                    for period in [0, 1, u16::MAX].map(Period::new) {
                        tags.push(key.token(&owner, nonce, period).tag);
                    }
                }
            }
        }
        let count = tags.len();
        tags.sort_unstable();
        tags.dedup();
        assert_eq!(tags.len(), count);
    }
}
