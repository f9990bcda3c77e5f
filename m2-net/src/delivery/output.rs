//! What comes out of a conversation: writes to commit, then actions to perform.

use super::id::{Ack, ContentHash, MessageId, Path, Time};
use super::payload::Payload;
use crate::wire::Places;
use bytes::Bytes;
use std::fmt;
use zeroize::Zeroizing;

/// One durable change. All writes polled in a row are one transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Write {
    /// Insert or replace the row of the own side of the conversation.
    Place(SavedPlace),
    /// Insert or replace the send epoch's row.
    SendEpoch(SavedSendEpoch),
    /// Delete the row of a send epoch, if there is one: nothing in the outbox needs it any more.
    SendEpochRemove {
        /// Its number.
        epoch: u64,
    },
    /// The next message of this incarnation gets this sequence number.
    NextSequence {
        /// From 1.
        next: u64,
    },
    /// Insert the outbox row under `entry.id`, or replace it (a SKIP takes the message's place).
    Outbox {
        /// What [`Saved::outbox`](super::Saved::outbox) must hold after a restart.
        entry: SavedOutbox,
        /// What was sealed. Its encoding must come back for [`Action::LoadPayload`].
        payload: Payload,
        /// The sealed bytes, for [`Action::Transmit`].
        sealed: Vec<u8>,
    },
    /// Replace epoch and sealed bytes of an outbox row.
    Reseal {
        /// The message.
        id: MessageId,
        /// The epoch that it is sealed under now.
        epoch: u64,
        /// The sealed bytes.
        sealed: Vec<u8>,
    },
    /// Delete the outbox row.
    OutboxRemove {
        /// The message.
        id: MessageId,
    },
    /// A sent message's new state, in its outbox row (if it is still there) and for its
    /// watchers. Comes for edits, retractions and read receipts too.
    State {
        /// The message.
        id: MessageId,
        /// Its state.
        state: MessageState,
    },
    /// Insert or replace the row of a receive epoch.
    ReceiveEpoch(SavedReceiveEpoch),
    /// Delete the row of a receive epoch, if there is one.
    ReceiveEpochRemove {
        /// The peer's incarnation.
        incarnation: u64,
        /// The epoch's number.
        epoch: u64,
    },
    /// Insert or replace the row of one incarnation of the peer.
    Incarnation(SavedIncarnation),
    /// Delete what is kept of one incarnation of the peer: its row and its newest grant. Nothing
    /// of it is held and none of its epochs is open.
    IncarnationRemove {
        /// The peer's incarnation.
        incarnation: u64,
    },
    /// Insert or replace the newest grant of one incarnation of the peer.
    PeerGrant(SavedPeerGrant),
    /// The peer's incarnation that is followed from now on; 0 for none.
    Following {
        /// The peer's incarnation.
        incarnation: u64,
    },
    /// Append an event: messages of the peer are lost that either side has forgotten.
    HistoryLost {
        /// How many, if that is known.
        missing: Option<u32>,
    },
    /// One of the two stores is older than what the other side has seen.
    Conflict(Conflict),
    /// Insert a received message and its event.
    Deliver {
        /// The message.
        id: MessageId,
        /// The sender's incarnation in which its place is filled; 0 if it is filled in none.
        incarnation: u64,
        /// What came. Never a [`Body::Skip`](super::Body::Skip).
        payload: Payload,
        /// For [`History`](super::History).
        hash: ContentHash,
        /// False if its place was passed over before, or belongs to an incarnation that is not
        /// followed.
        in_order: bool,
    },
    /// Insert the row of a place that waits for those before it, and the received message that
    /// fills it, without an event.
    Hold {
        /// The row that [`Saved::held`](super::Saved::held) must hold after a restart.
        held: SavedHeld,
        /// What came, to keep out of sight. It can be a [`Body::Skip`](super::Body::Skip).
        /// `None` if the id is committed already: then only the place is held.
        payload: Option<Payload>,
        /// For [`History`](super::History).
        hash: ContentHash,
    },
    /// A held place's turn has come: delete its row, keyed by incarnation and sequence.
    Release {
        /// The message.
        id: MessageId,
        /// The sender's incarnation.
        incarnation: u64,
        /// Its sequence number.
        sequence: u64,
        /// Whether to show the message now and append its event. Not for skips and duplicates.
        show: bool,
    },
    /// The sender gave this message up: keep its id for [`History`](super::History), show
    /// nothing.
    Skip {
        /// The message.
        id: MessageId,
        /// The sender's incarnation in which its place is filled; 0 if it is filled in none.
        incarnation: u64,
        /// The place that it would fill.
        sequence: u64,
        /// For [`History`](super::History).
        hash: ContentHash,
    },
    /// Append an event: messages are missing before the next [`Write::Release`].
    Gap {
        /// The sender's incarnation.
        incarnation: u64,
        /// The first sequence number that is missing.
        first: u64,
        /// How many are.
        missing: u64,
    },
}

/// A send epoch at rest. Its chain is in memory only, so an epoch that was read back seals nothing:
/// whatever the age of the store, no position of a chain is used twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SavedSendEpoch {
    /// Its number, rising within the conversation.
    pub epoch: u64,
    /// The signed grant, until a message of the epoch was acknowledged; then empty.
    pub grant: Bytes,
}

/// A receive epoch at rest.
#[derive(Clone, PartialEq, Eq)]
pub struct SavedReceiveEpoch {
    /// The peer's incarnation.
    pub incarnation: u64,
    /// Its number.
    pub epoch: u64,
    /// The chain and its skipped keys. Secret.
    pub bytes: Zeroizing<Vec<u8>>,
}

/// The index of one outbox row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SavedOutbox {
    /// The message.
    pub id: MessageId,
    /// Its place in the conversation and incarnation.
    pub sequence: u64,
    /// The epoch that its sealed bytes belong to. [`Write::Reseal`] changes it.
    pub epoch: u64,
    /// The hash that an acknowledgement must name.
    pub hash: ContentHash,
    /// If it is a SKIP: the hash of the message whose place it took. Who acknowledges that has
    /// committed the message itself.
    pub replaced: Option<ContentHash>,
    /// When it was queued.
    pub queued: Time,
    /// When it expires.
    pub expires: Option<Time>,
    /// Its state. [`Write::State`] changes it.
    pub state: MessageState,
}

/// The own side of a conversation. The peer numbers places and epochs by its incarnation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SavedPlace {
    /// The random number of the incarnation; 0 before the first.
    pub incarnation: u64,
    /// When it began.
    pub begun: Time,
    /// When a place that did not fit last made the machine take a new incarnation.
    pub renewed: Time,
    /// The highest epoch number ever used toward this peer.
    pub epoch: u64,
    /// The newest date of a grant toward this peer, in Unix seconds.
    pub signed: u64,
    /// The hash of the grant of that epoch; zeros when it belongs to another incarnation or is not
    /// known.
    pub grant_hash: [u8; 32],
}

/// The newest grant that was accepted of one incarnation of the peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SavedPeerGrant {
    /// The peer's incarnation.
    pub incarnation: u64,
    /// The signed grant.
    pub grant: Bytes,
}

/// One of the two stores is older than what the other side has seen of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Conflict {
    /// The peer shows a grant that this side signed within its incarnation and does not know: the
    /// own store was rolled back, or a copy of it is in use.
    OwnOlder,
    /// The peer shows a grant that this side signed in another incarnation, later than its own
    /// began: a second daemon runs from a copy of the store.
    OwnTwice,
    /// The peer states an epoch below one that it signed: its store was rolled back.
    PeerOlder,
    /// The peer states an earlier incarnation after it had signed grants in a later one: a second
    /// daemon of it runs from a copy of its store.
    PeerTwice,
}

/// What is kept of one incarnation of the peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SavedIncarnation {
    /// Its random number.
    pub incarnation: u64,
    /// The highest epoch that was accepted.
    pub highest_epoch: u64,
    /// The sequence number that is next in order.
    pub next_sequence: u64,
}

/// The index of one held message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SavedHeld {
    /// The message.
    pub id: MessageId,
    /// The sender's incarnation.
    pub incarnation: u64,
    /// Its place.
    pub sequence: u64,
    /// When it came.
    pub received: Time,
    /// Whether its release shows a message.
    pub show: bool,
}

/// What a conversation is rebuilt from after a restart: the rows that its [`Write`]s left.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Saved {
    /// The last [`Write::Place`].
    pub place: SavedPlace,
    /// The last [`Write::Following`], or 0 without one.
    pub following: u64,
    /// The rows of [`Write::PeerGrant`].
    pub peer_grants: Vec<SavedPeerGrant>,
    /// The last [`Write::NextSequence`], or 0 without one.
    pub next_sequence: u64,
    /// The rows of [`Write::SendEpoch`].
    pub send_epochs: Vec<SavedSendEpoch>,
    /// The rows of [`Write::Outbox`], in any order.
    pub outbox: Vec<SavedOutbox>,
    /// The rows of [`Write::Incarnation`].
    pub incarnations: Vec<SavedIncarnation>,
    /// The rows of [`Write::ReceiveEpoch`].
    pub receive_epochs: Vec<SavedReceiveEpoch>,
    /// The rows of [`Write::Hold`] without a [`Write::Release`].
    pub held: Vec<SavedHeld>,
}

/// How far a sent message has come (spec §6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MessageState {
    /// Durable in the outbox.
    Queued,
    /// Handed to a session.
    Sent(Path),
    /// Sealed in a mailbox of the recipient (spec §9). It is still offered in sessions, until the
    /// recipient acknowledges it.
    Deposited,
    /// The recipient's daemon has committed it. Final, but for the reading of it.
    Delivered,
    /// Given up; becomes `Delivered` if it turns out that the recipient has it.
    GivenUp(GiveUp),
}

/// Why the sender gave a message up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum GiveUp {
    /// Its author deleted it.
    Retracted,
    /// The contact was removed.
    ContactRemoved,
    /// Its time to live ended.
    Expired,
}

/// What to do, once the writes polled before it are on disk. None of it is durable: an action
/// that is lost is made good by a later retry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Send this on the session that came up, before anything else.
    State(Places),
    /// Send the stored sealed bytes of an outbox row. If the row is gone or has another epoch by
    /// now, do nothing.
    Transmit {
        /// The message.
        id: MessageId,
        /// The epoch that the row must have.
        epoch: u64,
        /// The signed grant to send along, until one message of the epoch was acknowledged.
        grant: Option<Bytes>,
    },
    /// Send these acknowledgements, at most [`MAX_ACKS`](super::MAX_ACKS), on any session with
    /// the peer; without one drop them.
    Acknowledge(Vec<Ack>),
    /// Tell the peer that this epoch can't be opened.
    RefuseEpoch {
        /// The peer's incarnation.
        incarnation: u64,
        /// The epoch.
        epoch: u64,
    },
    /// Read the payload of an outbox row and answer with `on_payload`.
    LoadPayload {
        /// The message.
        id: MessageId,
    },
}

impl fmt::Debug for SavedReceiveEpoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SavedReceiveEpoch({}, ..)", self.epoch)
    }
}
