//! The frames of parties and relays about lines (`docs/spec/line.md`).

mod codec;

use m2_crypto::PeerId;
use m2_crypto::address::NamedAddress;
use m2_crypto::line::{JoinToken, LineSecret};

/// The maximum number of lines that one frame opens or closes.
pub const MAX_OPENED: usize = 1_024;
/// The maximum number of lines in one offer.
pub const MAX_LINES: usize = 6;
/// The maximum number of addresses of a relay in an offer.
pub const MAX_ADDRESSES: usize = 4;
/// The maximum number of days of one offered line.
pub const MAX_DAYS: usize = 40;
/// The maximum number of relays that a session passes.
pub const MAX_HOPS: u32 = 3;
/// The size in bytes of a frame that asks a relay to dial another one. Anti-amplification: at least
/// the three datagrams that the relay sends to an address that does not answer.
pub const EXTEND_BYTES: usize = 4_608;

/// One frame about lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    /// A request of a party to its relay.
    Request(Request),
    /// A message of a relay to a party: an answer or a notification.
    RelayMessage(RelayMessage),
    /// Ends a channel, in either direction.
    Leave(Channel),
    /// The lines on which the sender can be reached. Replaces its earlier offer.
    Offer(Vec<OfferedLine>),
}

/// A request of a party to its relay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// Listens on lines: 1 to [`MAX_OPENED`].
    Open(Vec<LineSecret>),
    /// Stops listening on these lines: 1 to [`MAX_OPENED`].
    Close(Vec<JoinToken>),
    /// Joins a line.
    Join(Channel, JoinToken),
    /// Extends the session to another relay: everything that follows is forwarded to it.
    Extend(Extend),
    /// Asks for the source address of the party's packets.
    Observe,
}

/// The relay to which a session is extended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extend {
    /// The relay's peer id.
    pub relay: PeerId,
    /// The relay's address.
    pub address: NamedAddress,
    /// The number of relays that the session passes before the one that gets this request.
    pub hops: u32,
}

/// A message of a relay to a party.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RelayMessage {
    /// The answer to [`Request::Open`]: how many of the lines are open, counted from the first.
    Opened(u32),
    /// The answer to [`Request::Join`].
    Joined(Channel, JoinOutcome),
    /// A caller joined a line of the receiver.
    Called(Channel, JoinToken),
    /// The answer to [`Request::Extend`]: true if the session is now extended to the other relay.
    Extended(bool),
    /// The answer to [`Request::Observe`].
    Observed(NamedAddress),
}

/// A channel of a session with a relay: odd numbers are assigned by the party, even ones by the
/// relay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Channel(pub u32);

impl Channel {
    /// Returns whether the party assigned the number.
    pub const fn is_of_party(self) -> bool {
        self.0 % 2 == 1
    }
}

/// The outcome of joining a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JoinOutcome {
    /// The channel is open.
    Joined,
    /// No party listens on such a line.
    NoLine,
    /// The line or the relay has reached its limit of channels.
    Full,
}

/// A relay at which the sender of the offer listens for its receiver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfferedLine {
    /// The relay's peer id.
    pub relay: PeerId,
    /// The relay's addresses: 1 to [`MAX_ADDRESSES`].
    pub addresses: Vec<NamedAddress>,
    /// The UTC day of the first token, in days since 1970-01-01.
    pub first_day: u32,
    /// One token per day: 1 to [`MAX_DAYS`].
    pub tokens: Vec<JoinToken>,
}
