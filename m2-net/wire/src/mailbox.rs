//! The frames of owners, providers and senders about mailboxes (`docs/spec/mailbox.md`).

mod codec;

use bytes::Bytes;
use m2_crypto::address::NamedAddress;
use m2_crypto::mailbox::{TokenHash, TokenSeed};
use m2_crypto::{PeerId, Secret};

/// How long a letter is kept at most, in milliseconds: 7 days. The expiry is rounded down to a full
/// hour (docs/spec/mailbox-store.md#what-is-kept).
pub const KEPT_MS: u64 = 7 * 24 * 3_600_000;
/// The maximum number of token hashes in one frame.
pub const MAX_TOKENS: usize = 2_048;
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
    /// An answer of a provider to its owner, in the order of the requests.
    Answer(Answer),
    /// A letter from the owner's box.
    Letter(Letter),
    /// A deposit of a letter into a box.
    Deposit(Deposit),
    /// The outcome of a deposit.
    Deposited {
        /// The letter.
        id: LetterId,
        /// The outcome.
        outcome: Outcome,
    },
    /// The boxes in which letters for the sender can be deposited. Replaces its earlier offer.
    Offer(Vec<OfferedBox>),
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
    },
    /// Asks for the letters of the box, now and as they arrive.
    Open,
    /// Deletes the box.
    Remove,
    /// Allows deposits with these tokens: 1 to [`MAX_TOKENS`].
    AddTokens(Vec<TokenHash>),
    /// Revokes these tokens: 1 to [`MAX_TOKENS`].
    RemoveTokens(Vec<TokenHash>),
    /// Asks for all unused tokens.
    ListTokens,
    /// Confirms that the owner has stored these letters: 1 to [`MAX_TAKEN`]. Not answered.
    Taken(Vec<LetterId>),
}

/// An answer of a provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The answer to [`Request::Register`], [`Request::Open`] and [`Request::Remove`].
    State(BoxState),
    /// The answer to [`Request::AddTokens`] and [`Request::RemoveTokens`].
    TokensChanged {
        /// True if all tokens were taken; otherwise no token was.
        done: bool,
        /// The current number of unused tokens of the box.
        count: u32,
    },
    /// The answer to [`Request::ListTokens`]: up to [`MAX_TOKENS`].
    Tokens {
        /// A part of the hashes.
        hashes: Vec<TokenHash>,
        /// True in the last part.
        last: bool,
    },
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
    /// The maximum number of unused tokens of the box.
    pub max_tokens: u32,
    /// If there is no box, the reason as a stable word; otherwise empty.
    pub reason: String,
}

/// A letter's random id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LetterId(pub [u8; 16]);

/// A sealed letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// The letter's id.
    pub id: LetterId,
    /// The sealed bytes, of one of the [`LETTER_SIZES`](m2_crypto::envelope::LETTER_SIZES).
    pub sealed: Bytes,
}

/// A deposit.
#[derive(Debug, Clone)]
pub struct Deposit {
    /// The owner of the box.
    pub owner: PeerId,
    /// The deposit token, used once.
    pub token: Secret<32>,
    /// The letter to store.
    pub letter: Letter,
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

/// A box into which letters may be deposited.
#[derive(Debug, Clone)]
pub struct OfferedBox {
    /// The provider's peer id.
    pub provider: PeerId,
    /// The provider's addresses: 1 to [`MAX_ADDRESSES`].
    pub addresses: Vec<NamedAddress>,
    /// The seed from which the tokens are derived.
    pub seed: TokenSeed,
}

impl PartialEq for Deposit {
    fn eq(&self, other: &Self) -> bool {
        self.owner == other.owner
            && self.token.expose() == other.token.expose()
            && self.letter == other.letter
    }
}

impl Eq for Deposit {}

impl PartialEq for OfferedBox {
    fn eq(&self, other: &Self) -> bool {
        self.provider == other.provider
            && self.addresses == other.addresses
            && self.seed.expose() == other.seed.expose()
    }
}

impl Eq for OfferedBox {}
