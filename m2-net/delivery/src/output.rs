//! The output of a conversation: writes to commit, then actions to perform.

use super::id::{Ack, ContentHash, MessageId, Path, Time};
use super::notice::Notice;
use super::payload::Payload;
use crate::places::Places;
use bytes::Bytes;
use m2_crypto::envelope::SESSION_NAME_BYTES;

/// One durable change. All writes polled in a row belong to one transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Write {
    /// Insert or replace the row of this side of the conversation.
    Place(SavedPlace),
    /// Store the sequence number of the next message.
    NextSequence {
        /// The sequence number, from 1.
        next: u64,
    },
    /// Insert the outbox row under `entry.id`, or replace it (a SKIP takes the message's place).
    Outbox {
        /// The entry that [`Saved::outbox`](super::Saved::outbox) must hold after a restart.
        entry: SavedOutbox,
        /// The payload. Its encoding must be available by [`History::queued`](super::History::queued).
        payload: Payload,
    },
    /// Delete the outbox row.
    OutboxRemove {
        /// The message.
        id: MessageId,
    },
    /// Store a sent message's new state in its outbox row (if that still exists) and notify its
    /// watchers. Also emitted for edits, retractions and read receipts.
    State {
        /// The message.
        id: MessageId,
        /// The new state.
        state: MessageState,
    },
    /// Insert or replace the row of one incarnation of the peer.
    Incarnation(SavedIncarnation),
    /// Delete the stored state of one incarnation of the peer: its row and its newest grant. It has
    /// no held messages.
    IncarnationRemove {
        /// The peer's incarnation.
        incarnation: u64,
    },
    /// Insert or replace the newest grant of one incarnation of the peer.
    PeerGrant(SavedPeerGrant),
    /// Store which incarnation of the peer is now followed; 0 for no incarnation.
    Following {
        /// The peer's incarnation.
        incarnation: u64,
    },
    /// Append an event: messages of the peer were lost, because one of the two stores no longer has
    /// them.
    HistoryLost {
        /// The number of lost messages, if it is known.
        missing: Option<u32>,
    },
    /// Report that one of the two stores is older than the state that the other side has seen.
    Conflict(Conflict),
    /// Insert a received message and its event.
    Deliver {
        /// The message.
        id: MessageId,
        /// The sender's incarnation in which the message fills its place; 0 if it fills no place.
        incarnation: u64,
        /// The payload. Never a [`Body::Skip`](super::Body::Skip).
        payload: Payload,
        /// The content hash, for [`History`](super::History).
        hash: ContentHash,
        /// False if the message's place was passed over before, or belongs to an incarnation that
        /// is not followed.
        in_order: bool,
    },
    /// Insert the row of a place that waits for earlier ones, and the received message that fills
    /// it, without an event.
    Hold {
        /// The row that [`Saved::held`](super::Saved::held) must hold after a restart.
        held: SavedHeld,
        /// The payload, to be stored but not shown. It can be a [`Body::Skip`](super::Body::Skip).
        /// `None` if the id is already committed: then only the place is held.
        payload: Option<Payload>,
        /// The content hash, for [`History`](super::History).
        hash: ContentHash,
    },
    /// Release a held place: delete its row, keyed by incarnation and sequence.
    Release {
        /// The message.
        id: MessageId,
        /// The sender's incarnation.
        incarnation: u64,
        /// The sequence number.
        sequence: u64,
        /// True to show the message now and append its event. False for skips and duplicates.
        show: bool,
    },
    /// Store the id of a message that its sender gave up, for [`History`](super::History). Show
    /// nothing.
    Skip {
        /// The message.
        id: MessageId,
        /// The sender's incarnation in which the skip fills its place; 0 if it fills no place.
        incarnation: u64,
        /// The message's sequence number.
        sequence: u64,
        /// The content hash, for [`History`](super::History).
        hash: ContentHash,
    },
    /// Append an event: messages are missing before the next [`Write::Release`].
    Gap {
        /// The sender's incarnation.
        incarnation: u64,
        /// The first missing sequence number.
        first: u64,
        /// The number of missing messages.
        missing: u64,
    },
}

/// The indexed part of one outbox row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SavedOutbox {
    /// The message.
    pub id: MessageId,
    /// The message's place in the conversation.
    pub sequence: u64,
    /// The content hash that an acknowledgement must name.
    pub hash: ContentHash,
    /// For a SKIP, the hash of the message that it replaced. An acknowledgement with this hash
    /// means that the recipient has committed the message itself.
    pub replaced: Option<ContentHash>,
    /// When the message was queued.
    pub queued: Time,
    /// When the message expires, if it has a time to live.
    pub expires: Option<Time>,
    /// The state of the message. [`Write::State`] changes it.
    pub state: MessageState,
}

/// The stored state of this side of a conversation. The peer tracks its places and epochs by incarnation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SavedPlace {
    /// The random number of the incarnation; 0 before the first.
    pub incarnation: u64,
    /// When the incarnation began.
    pub begun: Time,
    /// When the machine last took a new incarnation because a stated place did not fit.
    pub renewed: Time,
    /// The highest epoch number ever used for this peer.
    pub epoch: u64,
    /// The newest creation time of any grant for this peer, in Unix seconds.
    pub signed: u64,
    /// The hash of the grant of `epoch`; zeros if that belongs to another incarnation or the hash
    /// is not known.
    pub grant_hash: [u8; 32],
}

/// The newest accepted grant of one incarnation of the peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SavedPeerGrant {
    /// The peer's incarnation.
    pub incarnation: u64,
    /// The signed grant.
    pub grant: Bytes,
}

/// One of the two stores is older than the state that the other side has seen of it
/// (docs/spec/delivery.md#places).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Conflict {
    /// The peer shows a grant that this side signed in its current incarnation and that the local
    /// store does not know: the store was rolled back, or a copy of it is in use.
    OwnOlder,
    /// The peer shows a grant that this side signed in another incarnation after the current one
    /// began: a second daemon runs from a copy of the store.
    OwnTwice,
    /// The peer states an epoch below one that it signed: its store was rolled back.
    PeerOlder,
    /// The peer states an earlier incarnation after it signed grants in a later one: a second
    /// daemon runs from a copy of the peer's store.
    PeerTwice,
}

/// The stored state of one incarnation of the peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SavedIncarnation {
    /// The incarnation's random number.
    pub incarnation: u64,
    /// The highest epoch whose grant was accepted.
    pub highest_epoch: u64,
    /// The sequence number of the next message in order.
    pub next_sequence: u64,
}

/// The indexed part of one held message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SavedHeld {
    /// The message.
    pub id: MessageId,
    /// The sender's incarnation.
    pub incarnation: u64,
    /// The sequence number.
    pub sequence: u64,
    /// When the message arrived.
    pub received: Time,
    /// True if the release shows a message, false for skips and duplicates.
    pub show: bool,
}

/// The rows left by a conversation's [`Write`]s, from which it is rebuilt after a restart.
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
    /// The rows of [`Write::Outbox`], in any order.
    pub outbox: Vec<SavedOutbox>,
    /// The rows of [`Write::Incarnation`].
    pub incarnations: Vec<SavedIncarnation>,
    /// The rows of [`Write::Hold`] without a [`Write::Release`].
    pub held: Vec<SavedHeld>,
}

/// The delivery state of a sent message (docs/spec/delivery.md#sending).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MessageState {
    /// Durable in the outbox.
    Queued,
    /// Handed to a session.
    Sent(Path),
    /// Held by a mailbox of the recipient (docs/spec/delivery.md#by-letter). The message is still
    /// offered in sessions until the recipient acknowledges it.
    Deposited,
    /// Committed by the recipient's daemon. Final, except that it may be marked as read.
    Delivered,
    /// Given up; becomes `Delivered` if an acknowledgement shows that the recipient has the
    /// message.
    GivenUp(GiveUp),
}

/// Why the sender gave a message up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum GiveUp {
    /// The author deleted it.
    Retracted,
    /// The contact was removed.
    ContactRemoved,
    /// Its time to live ended.
    Expired,
    /// This side gave it up before its store was restored to an earlier state, which does not contain the reason.
    Earlier,
}

/// An action to perform once the writes polled before it are on disk. Actions are not durable: a
/// later retry makes up for a lost one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Send this statement on the session that came up, before anything else.
    State(Places),
    /// Send a sealed message or notice on the session in which its epoch was opened. If that session does not
    /// serve any more, send nothing.
    Transmit {
        /// The message; `None` for a notice.
        id: Option<MessageId>,
        /// The session's name.
        session: [u8; SESSION_NAME_BYTES],
        /// The signed grant to send along, until one message of the epoch was acknowledged.
        grant: Option<Bytes>,
        /// The sealed bytes.
        sealed: Bytes,
    },
    /// Send these acknowledgements, at most [`MAX_ACKS`](super::MAX_ACKS), on any session with the
    /// peer; if there is no session, drop them.
    Acknowledge(Vec<Ack>),
    /// Tell the peer that this epoch can't be opened.
    RefuseEpoch {
        /// The peer's incarnation.
        incarnation: u64,
        /// The epoch's number.
        epoch: u64,
    },
    /// Tell front-ends what the peer does at this moment.
    Notice(Notice),
}
