//! The errors of a conversation's inputs.

use super::payload::PayloadError;
use m2_crypto::error::KeyError;
use thiserror::Error;

/// The peer broke a rule of the protocol. The input had no effect except where a variant says
/// otherwise. Count it, drop the frame, and keep the session: a rejected message must not stop the
/// ones behind it. The driver may end a session after many of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Misdeed {
    /// The bytes are not a sealed message.
    #[error("an envelope is malformed")]
    Envelope,
    /// The grant names another sender or another receiver.
    #[error("a grant belongs to another conversation")]
    ForeignGrant,
    /// The peer's envelopes that do not open have cost more work than one peer may waste. This one
    /// was refused without work. No honest peer reaches this limit: end the session.
    #[error("envelopes that do not open cost too much work")]
    TooMuchWork,
    /// The message opened, but its payload is malformed or of a kind that this version does not
    /// know. It is never acknowledged; its place is released as a gap after the holding time.
    #[error("a message is not understood")]
    Payload(#[source] PayloadError),
    /// The message id is in use for another conversation, the other direction, or other content.
    /// The message is never acknowledged.
    #[error("a message id is used a second time")]
    IdReused,
    /// The frame carries more acknowledgements than [`MAX_ACKS`](super::MAX_ACKS).
    #[error("a frame holds too many acknowledgements")]
    TooManyAcks,
    /// An acknowledgement names content that was not sent. The other acknowledgements of its frame
    /// are taken.
    #[error("an acknowledgement names other content")]
    AckMismatch,
}

/// Why [`Conversation::send`](super::Conversation::send) refused a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SendRefused {
    /// The outbox is full.
    #[error("too many messages wait for this contact: try again when some were delivered")]
    OutboxFull,
    /// The outbox already holds a message with this id.
    #[error("a message with this id is in the outbox")]
    IdInUse,
    /// The draft is invalid.
    #[error("the message can't be sent")]
    Draft(#[source] PayloadError),
    /// This conversation has used up its sequence numbers.
    #[error("this conversation has no sequence numbers left")]
    SequenceSpent,
}

/// The cryptography library failed: a broken key or a broken build.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(super) enum SealFailed {
    /// No epoch could be opened.
    #[error("the content key could not be wrapped or signed")]
    Grant(#[source] KeyError),
    /// The message could not be sealed.
    #[error("the epoch refused the message")]
    Message(#[source] m2_crypto::envelope::SealError),
}
