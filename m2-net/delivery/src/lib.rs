#![doc = include_str!("../README.md")]

mod context;
mod conversation;
mod counters;
mod error;
mod id;
mod limits;
mod notice;
mod outbox;
mod output;
mod own_place;
mod payload;
mod peer_incarnation;
mod places;
mod plaintext;
mod queue;
mod receive_epochs;
mod receiving;
mod recent;
mod send_epochs;
mod sending;
mod tools;
mod wasted_work;

pub use context::{Committed, Context, History, Queued};
pub use conversation::Conversation;
pub use counters::Counters;
pub use error::{Misdeed, SendRefused};
pub use id::{Ack, ContentHash, MessageId, Path, Time, WrongLength};
pub use limits::{Limits, MAX_ACKS};
pub use notice::Notice;
pub use output::{
    Action, Conflict, GiveUp, MessageState, Saved, SavedHeld, SavedIncarnation, SavedOutbox,
    SavedPeerGrant, SavedPlace, Write,
};
pub use payload::{
    Body, Content, Draft, MAX_CONTENT, MAX_MEDIA_TYPE, MAX_PAYLOAD, MAX_REACTION, MAX_READ,
    MAX_SEQUENCE, Payload, PayloadError,
};
pub use places::{MAX_SETTLED, Places};
pub use plaintext::Plaintext;
pub use receive_epochs::AcceptedGrant;
pub use receiving::OpenedMessage;
