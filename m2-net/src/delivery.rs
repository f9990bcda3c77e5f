//! Delivery: every queued message arrives exactly once and in order, even if either daemon is
//! killed at any moment (docs/spec/delivery.md), while the epochs that seal it change
//! (docs/spec/envelope.md).
//!
//! [`Conversation`] is the state machine. It does no IO, reads no clock and draws no randomness of
//! its own: inputs go in, [`Write`]s and [`Action`]s come out, and the driver commits the writes
//! before it performs the actions. docs/spec/delivery.md describes the protocol and its rationale.

mod context;
mod conversation;
mod counters;
mod error;
mod id;
mod limits;
mod outbox;
mod output;
mod own_place;
mod payload;
mod peer_incarnation;
mod queue;
mod receive_epochs;
mod receiving;
mod recent;
mod send_epochs;
mod sending;
mod wasted_work;

pub use context::{Committed, Context, History};
pub use conversation::{Conversation, MAX_ACKS};
pub use counters::Counters;
pub use error::{Misbehaved, SealFailed, SendRefused};
pub use id::{Ack, ContentHash, MessageId, Path, Time, WrongLength};
pub use limits::Limits;
pub use output::{
    Action, Conflict, GiveUp, MessageState, Saved, SavedHeld, SavedIncarnation, SavedOutbox,
    SavedPeerGrant, SavedPlace, SavedReceiveEpoch, SavedSendEpoch, Write,
};
pub use payload::{
    Body, Content, Draft, MAX_CONTENT, MAX_MEDIA_TYPE, MAX_PAYLOAD, MAX_READ, MAX_SEQUENCE,
    Payload, PayloadError,
};
pub use receiving::{AcceptedGrant, OpenedMessage};
