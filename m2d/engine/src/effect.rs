//! What leaves the engine, once the batch that decided it is on disk.

use crate::reply::Held;
use crate::wanted::{WantedBox, WantedLines};
use m2_core::dial::Order;
use m2_core::sessions::SessionId;
use m2_crypto::PeerId;
use m2_crypto::address::NamedAddress;
use m2_delivery::{Ack, Action, Notice, Path};
use m2_store::{AccessTokenRow, ContactRowId, EventRow, LookupSecrets};
use m2_wire::reach::Candidates;
use m2_wire::{CloseCode, Message};
use std::fmt;

/// An effect for the daemon's tasks.
pub enum Effect {
    /// Answer a caller.
    Answer(Held),
    /// Send a frame on a session.
    Send(SessionId, Box<Message>),
    /// Close a session.
    Close(SessionId, CloseCode),
    /// Count a misdeed of a session's peer.
    Misdeed(SessionId, &'static str),
    /// Close a session whose peer broke the protocol.
    Violation(SessionId, &'static str),
    /// Send an empty frame on a session, whose answer shows that the path works.
    Probe(SessionId),
    /// Allow or forbid the search for a direct path next to a session.
    AllowPunch(SessionId, bool),
    /// Look for a direct path next to a session on a line, which this side dialled.
    Seek(SessionId),
    /// Process the candidates for a direct path that the peer of a session named.
    Candidates(SessionId, Candidates),
    /// Use the address at which a contact in a direct session observed this host.
    Observed(PeerId, NamedAddress),
    /// Give the dialer an order for a peer.
    Dial(PeerId, Order),
    /// Accept a contact's dials before those of strangers; without secrets, no longer.
    Prioritise(PeerId, Option<LookupSecrets>),
    /// Accept no session with a peer under a lower suite than this one.
    RequireSuite(PeerId, u16),
    /// Notify event streams of an entry of the log.
    Event(LiveEvent),
    /// Pass a contact's notice to the streams that ask for notices.
    Notice(ContactNotice),
    /// Notify the workers that share a client name that its events have changed.
    SharedChanged,
    /// Forget the messages that are kept in memory for streams, as one of them was erased or
    /// replaced.
    ForgetContent,
    /// Keep a session with the provider of each of these boxes, and with no other.
    Boxes(Vec<WantedBox>),
    /// Wake the task that deposits letters.
    WakeDepositor,
    /// Keep these lines open at these relays, and no others.
    Lines(WantedLines),
    /// Accept these access tokens of front-ends, and no others.
    AccessTokens(Vec<AccessTokenRow>),
    /// Wake the look-up tasks.
    WakeLookup,
}

/// What a contact does at this moment.
#[derive(Clone)]
pub struct ContactNotice {
    /// The contact.
    pub contact: PeerId,
    /// Its local name.
    pub name: String,
    /// What it does.
    pub notice: NoticeKind,
    /// When the daemon learned of it, in Unix milliseconds.
    pub time_ms: u64,
}

impl fmt::Debug for ContactNotice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ContactNotice({:?})", self.notice)
    }
}

/// The kinds of notices about a contact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoticeKind {
    /// The contact said it.
    Said(Notice),
    /// The contact is online or not.
    Presence {
        /// The path of its session; `None` if it is offline.
        path: Option<Path>,
        /// The number of the change.
        number: u64,
    },
}

/// A committed entry of the event log, for streams that have read up to it.
#[derive(Debug, Clone)]
pub enum LiveEvent {
    /// An event that is complete without the store.
    Whole(Box<EventRow>),
    /// The number of an event that must be read from the store.
    Stored(i64),
}

/// A decision of a batch that is not on disk yet.
pub(crate) enum Step {
    /// Perform an action of the conversation with this contact row.
    Act(ContactRowId, Action),
    /// Acknowledge messages of this contact row that came on this session.
    Acknowledge(ContactRowId, SessionId, Vec<Ack>),
    /// Send a frame on a session, if the peer may be sent such a frame by then.
    Frame(SessionId, Box<Message>),
    /// An effect that depends on nothing else.
    Effect(Effect),
}

impl From<Effect> for Step {
    fn from(effect: Effect) -> Self {
        Self::Effect(effect)
    }
}

impl LiveEvent {
    /// Returns the number of the event.
    pub fn seq(&self) -> i64 {
        match self {
            Self::Whole(row) => row.seq,
            Self::Stored(seq) => *seq,
        }
    }

    /// Removes an event's message, which is read from the store from now on.
    pub fn forget_content(&mut self) {
        if let Self::Whole(row) = self
            && row.message.is_some()
        {
            *self = Self::Stored(row.seq);
        }
    }
}
