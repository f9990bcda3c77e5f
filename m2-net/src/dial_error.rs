//! The errors of dials.

use crate::ending::{CloseCode, SessionError};
use crate::quic_crypto::HandshakeFailure;
use quinn::{ConnectError, ConnectionError};
use thiserror::Error;

/// Why a dial failed (docs/spec/wire.md#what-a-dialer-is-told).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum DialError {
    /// The timeout has passed without an answer. This includes a peer of another circle, and an
    /// address at which another peer id than the dialled one listens.
    #[error("no answer")]
    NoAnswer,
    /// The peer that answered does not hold the key of the dialled peer id.
    #[error("the peer that answered is not the one that was dialled")]
    WrongPeer,
    /// The two versions of M2 have no suite in common.
    #[error("no cipher suite in common: one of the two sides needs a newer version")]
    NoCommonSuite,
    /// No session key was ready in time: too many dials at once.
    #[error("no session key was ready: try again in a moment")]
    NoKeyReady,
    /// The peer is reachable and accepts no session from this daemon.
    #[error("the peer refused the session")]
    Refused,
    /// The handshake was altered on the way, or one side broke the protocol.
    #[error("the handshake failed")]
    Failed,
    /// The address can't be reached from any address that this daemon listens on.
    #[error("no socket of this daemon can reach that address")]
    NoSocket,
    /// This side is closing, or the address can't be dialled.
    #[error("the address could not be dialled")]
    Local,
}

impl DialError {
    /// Returns the stable reason code for the API.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::NoAnswer => "NO_ANSWER",
            Self::WrongPeer => "WRONG_KEY",
            Self::NoCommonSuite => "NO_COMMON_SUITE",
            Self::NoKeyReady => "NO_KEY_READY",
            Self::Refused => "REFUSED",
            Self::Failed => "HANDSHAKE_FAILED",
            Self::NoSocket => "NO_SOCKET",
            Self::Local => "NOT_CALLED",
        }
    }

    pub(crate) fn from_connect(_: ConnectError) -> Self {
        Self::Local
    }

    pub(crate) fn from_connection(error: &ConnectionError) -> Self {
        match error {
            ConnectionError::ApplicationClosed(close) => Self::from_code(close.error_code.into()),
            other => HandshakeFailure::from(other).into(),
        }
    }

    /// Maps a failure after the local handshake was done but before the peer's Hello came. Only the
    /// Hello shows that the responder accepted the proof.
    pub(crate) fn from_greeting(error: SessionError, closed: Option<&ConnectionError>) -> Self {
        match (error, closed) {
            (SessionError::Closed, Some(reason)) => Self::from_connection(reason),
            _ => Self::Failed,
        }
    }

    fn from_code(code: u64) -> Self {
        if code == CloseCode::Misbehaved as u64 {
            Self::Failed
        } else {
            Self::Refused
        }
    }
}

impl From<HandshakeFailure> for DialError {
    fn from(failure: HandshakeFailure) -> Self {
        match failure {
            HandshakeFailure::NoAnswer => Self::NoAnswer,
            HandshakeFailure::WrongPeer => Self::WrongPeer,
            HandshakeFailure::NoCommonSuite => Self::NoCommonSuite,
            HandshakeFailure::Refused => Self::Refused,
            HandshakeFailure::Failed | HandshakeFailure::Broken => Self::Failed,
            HandshakeFailure::GivenUp => Self::Local,
        }
    }
}
