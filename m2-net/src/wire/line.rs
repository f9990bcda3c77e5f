//! What parties and relays say about lines (`docs/spec/line.md`, spec §7).

mod codec;

use m2_crypto::PeerId;
use m2_crypto::address::NamedAddress;
use m2_crypto::line::{JoinToken, LineSecret};

/// The most lines that one frame opens or closes.
pub const MAX_OPENED: usize = 1_024;
/// The most lines of one offer.
pub const MAX_LINES: usize = 6;
/// The most addresses of a relay in an offer.
pub const MAX_ADDRESSES: usize = 4;
/// The most days of one offered line.
pub const MAX_DAYS: usize = 40;
/// The most relays that a session passes.
pub const MAX_HOPS: u32 = 3;
/// Bytes of a frame that asks a relay to call another one: no fewer than what it sends for it.
pub const EXTEND_BYTES: usize = 2_560;

/// One frame about lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    /// What a party asks its relay.
    Request(Request),
    /// What a relay tells a party.
    Told(Told),
    /// Either to the other: a channel is no more.
    Leave(Channel),
    /// Lines on which the sender may be called: replaces all that it said before.
    Offer(Vec<OfferedLine>),
}

/// What a party asks its relay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// Listens on lines: 1 to [`MAX_OPENED`].
    Open(Vec<LineSecret>),
    /// Listens on these no longer: 1 to [`MAX_OPENED`].
    Close(Vec<JoinToken>),
    /// Joins a line.
    Join(Channel, JoinToken),
    /// Has everything that follows passed on to another relay.
    Extend(Extend),
    /// Asks from where the party's packets come.
    Observe,
}

/// The relay that a session is to be extended to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extend {
    /// Who it is.
    pub relay: PeerId,
    /// Where it is.
    pub address: NamedAddress,
    /// How many relays the session has passed before the one that is asked.
    pub hops: u32,
}

/// What a relay tells a party.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// The answer to [`Request::Open`]: how many of the lines are open, from the first on.
    Opened(u32),
    /// The answer to [`Request::Join`].
    Joined(Channel, JoinOutcome),
    /// Somebody joined a line of the receiver.
    Called(Channel, JoinToken),
    /// The answer to [`Request::Extend`]: whether the session is one with the other relay now.
    Extended(bool),
    /// The answer to [`Request::Observe`].
    Observed(NamedAddress),
}

/// A channel of a session for lines: odd numbers are given by the party, even ones by the relay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Channel(pub u32);

impl Channel {
    /// Whether the party gave the number.
    pub const fn is_of_party(self) -> bool {
        self.0 % 2 == 1
    }
}

/// What became of a call on a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JoinOutcome {
    /// The channel stands.
    Joined,
    /// Nobody listens on such a line.
    NoLine,
    /// The line or the relay has as many channels as it may.
    Full,
}

/// A relay at which somebody listens for the receiver of the offer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfferedLine {
    /// The relay.
    pub relay: PeerId,
    /// Where it is: 1 to [`MAX_ADDRESSES`].
    pub addresses: Vec<NamedAddress>,
    /// The UTC day of the first token, days since 1970.
    pub first_day: u32,
    /// One a day: 1 to [`MAX_DAYS`].
    pub tokens: Vec<JoinToken>,
}
