//! Deposits into mailboxes: the tokens that admit one letter each, and the marks of letters that
//! were taken (docs/spec/mailbox.md#tokens).
//!
//! The owner of a box makes a [`BoxKey`] and tells it to the provider. It issues a [`DepositToken`]
//! without the provider, and gives it to a contact. The provider checks the token with
//! [`TokenVerifier`] when a letter comes with it: it keeps no unused token, and can't tell which
//! tokens went to one contact. The [`DepositNonce`] of the token becomes the letter's id, and a
//! [`SpentMark`] replaces a letter that the owner took.

mod box_key;
mod nonce;
mod period;
mod spent_mark;
mod token;
mod verifier;

pub use box_key::BoxKey;
pub use nonce::{DepositNonce, NONCE_BYTES};
pub use period::{PERIOD_S, Period};
pub use spent_mark::{MARK_BYTES, MarkSalt, SpentMark};
pub use token::{DepositToken, TOKEN_BYTES};
pub use verifier::{TokenRefused, TokenVerifier};
