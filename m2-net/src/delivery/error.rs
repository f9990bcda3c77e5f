//! What can be wrong with an input.

use super::payload::PayloadError;
use m2_crypto::error::KeyError;
use thiserror::Error;

/// The peer did what no peer may. The input has had no effect but for what is said here. Count
/// it, drop the frame, and keep the session: a message that can't be taken must not stop the
/// ones behind it. Ending a session after many of these is the driver's choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Misbehaved {
    /// Not a sealed message at all.
    #[error("an envelope is malformed")]
    Envelope,
    /// A grant of another sender or for another receiver.
    #[error("a grant belongs to another conversation")]
    ForeignGrant,
    /// Its envelopes that do not open cost more work than one peer may waste. This one was refused
    /// without work. No honest peer comes here: end the session.
    #[error("envelopes that do not open cost too much work")]
    TooMuchWork,
    /// It opened, but there is no payload in it that this version understands. Never
    /// acknowledged; its place is released as a gap after the holding time.
    #[error("a message is not understood")]
    Payload(#[source] PayloadError),
    /// A message id of another conversation, of the other direction, or of other content. Never
    /// acknowledged.
    #[error("a message id is used a second time")]
    IdReused,
    /// More acknowledgements than a frame may carry.
    #[error("a frame holds too many acknowledgements")]
    TooManyAcks,
    /// An acknowledgement names other content than was sent. The others of its frame count.
    #[error("an acknowledgement names other content")]
    AckMismatch,
}

/// Why [`Conversation::send`](super::Conversation::send) took nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SendRefused {
    /// Too many messages wait for their acknowledgement.
    #[error("too many messages wait for this contact: try again when some were delivered")]
    OutboxFull,
    /// The id is in the outbox already.
    #[error("a message with this id is in the outbox")]
    IdInUse,
    /// The draft can't be sent.
    #[error("the message can't be sent")]
    Draft(#[source] PayloadError),
    /// This conversation has used up its sequence numbers.
    #[error("this conversation has no sequence numbers left")]
    SequenceSpent,
    /// The cryptography library refused to open an epoch or to seal.
    #[error("the message could not be sealed")]
    Seal(#[source] SealFailed),
}

/// The cryptography library refused: a broken key or a broken build.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SealFailed {
    /// No epoch could be opened.
    #[error("the content key could not be wrapped or signed")]
    Grant(#[source] KeyError),
    /// The message could not be sealed.
    #[error("the epoch refused the message")]
    Message(#[source] m2_crypto::envelope::SealError),
}
