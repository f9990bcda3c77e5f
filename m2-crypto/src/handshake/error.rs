//! The reasons why a handshake fails (docs/spec/handshake.md#errors).

use crate::error::KeyError;
use thiserror::Error;

/// The reason why a handshake failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum HandshakeError {
    /// The responder's certificate does not belong to the dialled peer id.
    #[error("another identity answered than the one that was dialled")]
    WrongPeer,
    /// The initiator offered no suite that the responder supports.
    #[error("no cipher suite in common: one of the two sides needs a newer version")]
    NoCommonSuite,
    /// The peer, or an attacker on the path, violated the protocol.
    #[error("the peer broke the handshake protocol")]
    Peer(#[from] PeerMisbehaved),
    /// The handshake failed for a local reason.
    #[error("the handshake failed on this side")]
    Local(#[from] LocalError),
}

/// A protocol violation by the peer, or a modification of its messages on the path. For counters
/// and tests: the peer learns only that the handshake failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Error)]
pub enum PeerMisbehaved {
    /// A message does not have the specified layout.
    #[error("a message is malformed")]
    Malformed,
    /// A message exceeds the maximum length.
    #[error("a message is too long")]
    TooLong,
    /// A message of another type was expected.
    #[error("a message is out of place")]
    UnexpectedMessage,
    /// Further bytes follow a message that must be answered first.
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
    /// The peer presented our own key as its key.
    #[error("our own key was sent back")]
    OwnKeyReflected,
    /// The responder presented no certificate.
    #[error("the responder did not identify itself")]
    AnonymousResponder,
}

/// A failure that the peer did not cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum LocalError {
    /// The local transport parameters are longer than [`super::hello::MAX_TRANSPORT`].
    #[error("the transport parameters are too long")]
    TransportParameters,
    /// No session key pair was available from the pool.
    #[error("no session key is available for this handshake")]
    NoSessionKey,
    /// The cryptography library failed to use the identity's key.
    #[error("the identity's key could not be used")]
    Key(#[source] KeyError),
}
