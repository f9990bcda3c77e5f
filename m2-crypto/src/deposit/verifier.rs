//! The provider's check of tokens (docs/spec/mailbox.md#the-depositors-session).

use super::box_key::BoxKey;
use super::token::DepositToken;
use crate::peer_id::PeerId;
use rand_core::CryptoRng;
use subtle::{Choice, ConstantTimeEq};
use thiserror::Error;

/// The token does not admit a letter: the box does not exist, the tag is not that of the box's key,
/// or the period is not valid at present. The causes are one error, as a depositor must not learn
/// which peer ids have a box.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the token admits no letter into this box")]
pub struct TokenRefused;

/// Checks the tokens of deposits. Holds a random key, which replaces the key of a box that does not
/// exist, so that the check takes the same work.
#[derive(Debug)]
pub struct TokenVerifier {
    absent: BoxKey,
}

impl TokenVerifier {
    /// Creates a verifier, which lasts until the provider stops.
    pub fn new<R: CryptoRng + ?Sized>(rng: &mut R) -> Self {
        Self {
            absent: BoxKey::random(rng),
        }
    }

    /// Checks a token for the box of `owner`. `key` is the key of that box, or `None` if the box
    /// does not exist. `now_s` is the Unix time in seconds. The result does not say whether the
    /// token was used before.
    ///
    /// Errors: [`TokenRefused`], after the same work for every cause.
    pub fn verify(
        &self,
        owner: &PeerId,
        key: Option<&BoxKey>,
        token: &DepositToken,
        now_s: u64,
    ) -> Result<(), TokenRefused> {
        let exists = Choice::from(u8::from(key.is_some()));
        let tag = key
            .unwrap_or(&self.absent)
            .tag(owner, &token.nonce, token.period);
        let valid = Choice::from(u8::from(token.period.is_valid_at(now_s)));
        if bool::from(tag.ct_eq(&token.tag) & valid & exists) {
            Ok(())
        } else {
            Err(TokenRefused)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::nonce::DepositNonce;
    use super::super::period::{PERIOD_S, Period};
    use super::super::token::TOKEN_BYTES;
    use super::*;
    use crate::secret::Secret;

    const NOW_S: u64 = 1_800_000_000;

    fn key() -> BoxKey {
        BoxKey::new(Secret::new([1; 32]))
    }

    fn owner() -> PeerId {
        PeerId::from_bytes([2; 32])
    }

    fn token() -> DepositToken {
        let nonce = DepositNonce::from_bytes([3; 16]);
        key().token(&owner(), nonce, Period::at(NOW_S))
    }

    fn verifier() -> TokenVerifier {
        TokenVerifier {
            absent: BoxKey::new(Secret::new([9; 32])),
        }
    }

    fn verify(token: &DepositToken, now_s: u64) -> Result<(), TokenRefused> {
        verifier().verify(&owner(), Some(&key()), token, now_s)
    }

    #[test]
    fn a_token_is_accepted_in_its_period_and_the_next() {
        assert_eq!(verify(&token(), NOW_S), Ok(()));
        assert_eq!(verify(&token(), NOW_S + PERIOD_S), Ok(()));
        assert_eq!(verify(&token(), NOW_S + 2 * PERIOD_S), Err(TokenRefused));
        assert_eq!(verify(&token(), NOW_S - PERIOD_S), Err(TokenRefused));
    }

    #[test]
    fn a_flipped_bit_is_refused() {
        for at in 0..TOKEN_BYTES {
            for bit in 0..8 {
                let mut bytes = token().to_bytes();
                bytes[at] ^= 1 << bit;
                let altered = DepositToken::from_bytes(&bytes).unwrap();
                assert_eq!(verify(&altered, NOW_S), Err(TokenRefused), "{at}");
            }
        }
    }

    #[test]
    fn another_box_or_key_is_refused() {
        let (verifier, token) = (verifier(), token());
        let other_owner = PeerId::from_bytes([4; 32]);
        let other_key = BoxKey::new(Secret::new([5; 32]));
        for (owner, key) in [(other_owner, key()), (owner(), other_key)] {
            let refused = verifier.verify(&owner, Some(&key), &token, NOW_S);
            assert_eq!(refused, Err(TokenRefused));
        }
    }

    #[test]
    fn a_box_that_does_not_exist_refuses_every_token() {
        let verifier = verifier();
        let forged = verifier
            .absent
            .token(&owner(), *token().nonce(), Period::at(NOW_S));
        for token in [token(), forged] {
            let refused = verifier.verify(&owner(), None, &token, NOW_S);
            assert_eq!(refused, Err(TokenRefused));
        }
    }
}
