//! The frames of owners, providers and senders about mailboxes (`docs/spec/mailbox.md`).

mod codec;

use bytes::Bytes;
use m2_crypto::PeerId;
use m2_crypto::address::NamedAddress;
use m2_crypto::deposit::{BoxKey, DepositNonce, DepositToken};
use m2_crypto::envelope::SESSION_NAME_BYTES;
use m2_crypto::one_time_key::OneTimePublicKey;

/// How long a letter is kept at most, in milliseconds: 7 days. The expiry is rounded down to a full
/// hour (docs/spec/mailbox-store.md#what-is-kept).
pub const KEPT_MS: u64 = 7 * 24 * 3_600_000;
/// The maximum number of tokens in one frame.
pub const MAX_TOKENS: usize = 16;
/// The maximum number of tokens that one report names as stored, and as refused.
pub const MAX_REPORTED: usize = 64;
/// The maximum number of letters that one frame reports as taken.
pub const MAX_TAKEN: usize = 1_024;
/// The maximum number of boxes in one offer.
pub const MAX_BOXES: usize = 8;
/// The maximum number of addresses of a provider in an offer.
pub const MAX_ADDRESSES: usize = 8;
/// The maximum length of an address as text, in bytes.
pub const MAX_ADDRESS: usize = 64;

/// One frame about mailboxes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mailbox {
    /// A request of an owner to its provider.
    Request(Request),
    /// The answer of a provider to every request of the owner except [`Request::Taken`], in their
    /// order.
    State(BoxState),
    /// A letter from the owner's box.
    Letter(Letter),
    /// A deposit of a letter into a box.
    Deposit(Deposit),
    /// The outcome of a deposit.
    Deposited {
        /// The nonce of its token.
        nonce: DepositNonce,
        /// The outcome.
        outcome: Outcome,
    },
    /// The boxes in which letters for the sender can be deposited. Replaces its earlier offer.
    Offer(Vec<OfferedBox>),
    /// Tokens for an offered box.
    Tokens {
        /// The series that they belong to.
        series: Series,
        /// 1 to [`MAX_TOKENS`].
        tokens: Vec<TokenWithKey>,
    },
    /// What the sender did with tokens of the receiver.
    TokenReport {
        /// The tokens that it has stored: at most [`MAX_REPORTED`].
        taken: Vec<DepositNonce>,
        /// The tokens that their provider refused: at most [`MAX_REPORTED`].
        refused: Vec<DepositNonce>,
    },
    /// The series of which the sender has tokens: at most [`MAX_BOXES`].
    SeriesHeld(Vec<Series>),
    /// Which letter secrets the sender has stored and uses.
    LetterSecrets {
        /// The session of the newest secret that it has stored.
        stored: [u8; SESSION_NAME_BYTES],
        /// The session of the secret with which it seals letters from now on.
        seals_with: Option<[u8; SESSION_NAME_BYTES]>,
    },
}

/// A request of an owner to its provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// Opens a box for the sender's peer id.
    Register {
        /// The id of the provider's invitation.
        invite_id: [u8; 16],
        /// The proof, bound to this session.
        proof: [u8; 32],
        /// The key of the box, also if it exists already.
        key: BoxKey,
    },
    /// Sets the key of the box, and asks for its letters, now and as they arrive.
    Open(BoxKey),
    /// Deletes the box.
    Remove,
    /// Confirms that the owner has stored these letters: 1 to [`MAX_TAKEN`]. Not answered.
    Taken(Vec<DepositNonce>),
}

/// The state of a box.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BoxState {
    /// True if the box exists.
    pub open: bool,
    /// The maximum number of letters in the box.
    pub max_letters: u32,
    /// The maximum number of bytes of letters in the box.
    pub max_bytes: u64,
    /// If there is no box, the reason as a stable word; otherwise empty.
    pub reason: String,
}

/// A sealed letter in a box.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// The nonce of the token that admitted it.
    pub nonce: DepositNonce,
    /// The sealed bytes, of one of the [`LETTER_SIZES`](m2_crypto::letter::LETTER_SIZES).
    pub sealed: Bytes,
}

/// A deposit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deposit {
    /// The owner of the box.
    pub owner: PeerId,
    /// The token, which admits one letter.
    pub token: DepositToken,
    /// The sealed letter, of one of the [`LETTER_SIZES`](m2_crypto::letter::LETTER_SIZES).
    pub sealed: Bytes,
}

/// The outcome of a deposit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The letter is on the provider's disk.
    Stored,
    /// There is no such box, or the token is not valid for it.
    Refused,
    /// The box has reached its limits.
    BoxFull,
    /// The provider has reached its limits, or can't write.
    ServerFull,
}

/// The name of the tokens that one contact has for one box: 8 random bytes. Tokens of an earlier
/// series are void.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Series(pub [u8; 8]);

/// A box into which letters may be deposited.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfferedBox {
    /// The provider's peer id.
    pub provider: PeerId,
    /// The provider's addresses: 1 to [`MAX_ADDRESSES`].
    pub addresses: Vec<NamedAddress>,
    /// The tokens that are in use.
    pub series: Series,
}

/// A token, with the key under which its letter is sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenWithKey {
    /// The token.
    pub token: DepositToken,
    /// The public half of the one-time key.
    pub key: OneTimePublicKey,
}
