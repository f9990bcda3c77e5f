//! Letters: sealed messages that wait in a mailbox (docs/spec/letter.md#outside).
//!
//! The sender seals one message for one box ([`Recipient::seal`]): under the receiver's certificate,
//! under the [one-time key](crate::one_time_key) that came with the token, and under the
//! [`LetterSecret`] of a common session. All three are needed to open it ([`Opener::open`]). A mailbox
//! learns the size of a letter and nothing about its sender.
//!
//! The types here do not remember letters. The caller must:
//!
//! - seal at most one letter under a nonce and its one-time key;
//! - erase the one-time key in the transaction that stores the opened letter, and not before: a letter
//!   that does not open may be another depositor's;
//! - keep [`LetterSecrets`] for each contact.

mod header;
mod inside;
mod opener;
mod outside;
mod recipient;
mod root;
mod secret;
mod secrets;

pub use header::LetterHeader;
pub use opener::{OpenedLetter, Opener};
pub use outside::{LETTER_SIZES, MAX_LETTER_PAYLOAD};
pub use recipient::{LetterError, Recipient};
pub use secret::LetterSecret;
pub use secrets::{KeptSecret, LetterSecrets, MAX_LETTER_SECRETS, SECRET_KEPT_S};
