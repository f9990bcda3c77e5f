//! What owners, providers and senders of mailboxes say (`docs/spec/mailbox.md`).

mod codec;

use bytes::Bytes;
use m2_crypto::address::NamedAddress;
use m2_crypto::mailbox::{TokenHash, TokenSeed};
use m2_crypto::{PeerId, Secret};

/// The most token hashes in one frame.
pub const MAX_TOKENS: usize = 2_048;
/// The most letters that one frame says were taken.
pub const MAX_TAKEN: usize = 1_024;
/// The most boxes of one offer.
pub const MAX_BOXES: usize = 8;
/// The most addresses of a provider in an offer.
pub const MAX_ADDRESSES: usize = 8;
/// The longest address, as text, bytes.
pub const MAX_ADDRESS: usize = 64;

/// One frame about mailboxes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mailbox {
    /// What an owner asks its provider.
    Request(Request),
    /// What a provider answers its owner, each in the order of the requests.
    Answer(Answer),
    /// A letter of the owner's box.
    Letter(Letter),
    /// Puts a letter into a box.
    Deposit(Deposit),
    /// What became of a deposit.
    Deposited {
        /// The letter.
        id: LetterId,
        /// Where it is.
        outcome: Outcome,
    },
    /// Where the sender may be written to while it is away: replaces all that it said before.
    Offer(Vec<OfferedBox>),
}

/// What an owner asks its provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// A box for the sender's peer id.
    Register {
        /// Names the provider's invitation.
        invite_id: [u8; 16],
        /// Bound to this session.
        proof: [u8; 32],
    },
    /// The letters of the box, now and as they come.
    Open,
    /// Deletes the box.
    Remove,
    /// Lets deposits with these tokens in: 1 to [`MAX_TOKENS`].
    AddTokens(Vec<TokenHash>),
    /// Lets deposits with these tokens in no longer: 1 to [`MAX_TOKENS`].
    RemoveTokens(Vec<TokenHash>),
    /// Asks for all unused tokens.
    ListTokens,
    /// The owner has these on its disk: 1 to [`MAX_TAKEN`]. Not answered.
    Taken(Vec<LetterId>),
}

/// What a provider answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// To [`Request::Register`], [`Request::Open`] and [`Request::Remove`].
    State(BoxState),
    /// To [`Request::AddTokens`] and [`Request::RemoveTokens`].
    TokensChanged {
        /// Whether all were taken; none were if not.
        done: bool,
        /// Unused tokens of the box now.
        count: u32,
    },
    /// To [`Request::ListTokens`]: up to [`MAX_TOKENS`].
    Tokens {
        /// Some of the hashes.
        hashes: Vec<TokenHash>,
        /// No more follow.
        last: bool,
    },
}

/// The state of a box.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BoxState {
    /// Whether there is a box.
    pub open: bool,
    /// Letters that it may hold.
    pub max_letters: u32,
    /// Bytes of letters that it may hold.
    pub max_bytes: u64,
    /// Unused tokens that it may have.
    pub max_tokens: u32,
    /// Why there is none, as a stable word, or empty.
    pub reason: String,
}

/// A letter's random name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LetterId(pub [u8; 16]);

/// A sealed letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// Its name.
    pub id: LetterId,
    /// One of [`LETTER_SIZES`](m2_crypto::envelope::LETTER_SIZES) long.
    pub sealed: Bytes,
}

/// A deposit.
#[derive(Debug, Clone)]
pub struct Deposit {
    /// The owner of the box.
    pub owner: PeerId,
    /// Used once.
    pub token: Secret<32>,
    /// What to keep.
    pub letter: Letter,
}

/// What became of a deposit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It is on the provider's disk.
    Stored,
    /// No such box, or not its token.
    Refused,
    /// The box holds as much as it may.
    BoxFull,
    /// The provider holds as much as it may, or can't write.
    ServerFull,
}

/// A box that may be deposited into.
#[derive(Debug, Clone)]
pub struct OfferedBox {
    /// The provider.
    pub provider: PeerId,
    /// Where it is: 1 to [`MAX_ADDRESSES`].
    pub addresses: Vec<NamedAddress>,
    /// What the tokens follow from.
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
