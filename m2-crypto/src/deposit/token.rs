//! The token that admits one letter into one box (docs/spec/mailbox.md#tokens).

use super::nonce::{DepositNonce, NONCE_BYTES};
use super::period::Period;
use crate::reader::Reader;
use std::fmt;
use subtle::ConstantTimeEq;

/// Bytes of a token.
pub const TOKEN_BYTES: usize = NONCE_BYTES + 2 + TAG_BYTES;

/// Bytes of the tag in a token.
pub(super) const TAG_BYTES: usize = 16;

/// A permission to leave one letter in one box: nonce ‖ period ‖ tag. Every holder of a token can use
/// it, so `Debug` prints none of it.
#[derive(Clone, Copy)]
pub struct DepositToken {
    pub(super) nonce: DepositNonce,
    pub(super) period: Period,
    pub(super) tag: [u8; TAG_BYTES],
}

impl DepositToken {
    /// Parses a token. All values parse: [`TokenVerifier`](super::TokenVerifier) checks them.
    /// Returns `None` unless the length is [`TOKEN_BYTES`].
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        let token = Self {
            nonce: DepositNonce::from_bytes(reader.array()?),
            period: Period::new(reader.u16()?),
            tag: reader.array()?,
        };
        reader.end()?;
        Some(token)
    }

    /// Returns the token's bytes.
    pub fn to_bytes(&self) -> [u8; TOKEN_BYTES] {
        let period = self.period.number().to_be_bytes();
        let mut out = [0; TOKEN_BYTES];
        let from = self.nonce.as_bytes().iter().chain(&period).chain(&self.tag);
        for (to, from) in out.iter_mut().zip(from) {
            *to = *from;
        }
        out
    }

    /// Returns the nonce, which is the id of the letter that the token admits.
    pub const fn nonce(&self) -> &DepositNonce {
        &self.nonce
    }

    /// Returns the period that the token names.
    pub const fn period(&self) -> Period {
        self.period
    }
}

impl PartialEq for DepositToken {
    fn eq(&self, other: &Self) -> bool {
        self.to_bytes().ct_eq(&other.to_bytes()).into()
    }
}

impl Eq for DepositToken {}

impl fmt::Debug for DepositToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DepositToken(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn tokens_of_one_length_parse(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let token = DepositToken::from_bytes(&bytes);
            prop_assert_eq!(token.is_some(), bytes.len() == TOKEN_BYTES);
            if let Some(token) = token {
                prop_assert_eq!(token.to_bytes().to_vec(), bytes);
            }
        }
    }

    #[test]
    fn debug_shows_nothing() {
        let token = DepositToken::from_bytes(&[7; TOKEN_BYTES]).unwrap();
        assert_eq!(format!("{token:?}"), "DepositToken(..)");
        assert_eq!(format!("{:?}", token.nonce()), "DepositNonce(..)");
    }
}
