//! Why a handshake ends early.

use crate::error::KeyError;
use thiserror::Error;

/// A handshake failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum HandshakeError {
    /// The responder's certificate is not that of the peer id that was called (spec §3).
    #[error("another identity answered than the one that was called")]
    WrongPeer,
    /// The initiator offers no suite that the responder knows.
    #[error("no cipher suite in common: one of the two sides needs a newer version")]
    NoCommonSuite,
    /// The peer, or somebody in between, broke the protocol.
    #[error("the peer broke the handshake protocol")]
    Peer(#[from] PeerMisbehaved),
    /// This side could not do its part.
    #[error("the handshake failed on this side")]
    Local(#[from] LocalError),
}

/// What a peer did that no honest peer does, or what somebody in between did to its messages.
/// For counters and tests; a peer is told none of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Error)]
pub enum PeerMisbehaved {
    /// A message is not laid out as the specification says.
    #[error("a message is malformed")]
    Malformed,
    /// A message is longer than any may be.
    #[error("a message is too long")]
    TooLong,
    /// A message came where another belongs.
    #[error("a message is out of place")]
    UnexpectedMessage,
    /// Bytes follow a message before it was answered.
    #[error("bytes follow a message that must be answered first")]
    TrailingData,
    /// The responder chose a suite that was not offered.
    #[error("the chosen suite was not offered")]
    SuiteNotOffered,
    /// A public key is not one that M2 accepts.
    #[error("a public key is not acceptable")]
    BadKey,
    /// A wrapped key does not open.
    #[error("a wrapped key does not open")]
    Decrypt,
    /// A signature does not verify.
    #[error("a signature does not verify")]
    Signature,
    /// Our own key came back as the peer's.
    #[error("our own key was sent back")]
    OwnKeyReflected,
    /// The responder must show a certificate and did not.
    #[error("the responder did not identify itself")]
    AnonymousResponder,
}

/// What can go wrong without the peer's doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum LocalError {
    /// The own transport parameters are longer than [`super::hello::MAX_TRANSPORT`].
    #[error("the transport parameters are too long")]
    TransportParameters,
    /// No session key pair was taken from the pool for this call.
    #[error("no session key is there for this call")]
    NoSessionKey,
    /// The cryptography library failed with the own key.
    #[error("the own key could not be used")]
    Key(#[source] KeyError),
}
