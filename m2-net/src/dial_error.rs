//! Why a dial gave no session.

use crate::quic_crypto::HandshakeFailure;
use crate::session::{CloseCode, SessionError};
use quinn::{ConnectError, ConnectionError};
use thiserror::Error;

/// Why a dial gave no session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum DialError {
    /// Nothing answered in time. So it is too when the other side lives in another circle or
    /// has another peer id than the called one.
    #[error("nothing answered")]
    NoAnswer,
    /// Somebody answered who does not hold the key of the called peer id.
    #[error("another identity answered than the one that was called")]
    WrongPeer,
    /// The two versions of M2 have no suite in common.
    #[error("no cipher suite in common: one of the two sides needs a newer version")]
    NoCommonSuite,
    /// No session key was ready in time: too many dials at once.
    #[error("no session key was ready: try again in a moment")]
    NoKeyReady,
    /// The peer is there and takes no session from us.
    #[error("the peer refused the session")]
    Refused,
    /// The handshake was altered on the way, or one side broke the protocol.
    #[error("the handshake failed")]
    Failed,
    /// The address can't be reached from any address that this daemon listens on.
    #[error("no socket of this daemon can reach that address")]
    NoSocket,
    /// This side is closing, or the address is not one to call.
    #[error("the call could not be made")]
    Local,
}

impl DialError {
    /// A stable reason for the API.
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

    /// The handshake was done here, but the Hello did not come. Only now is it known whether
    /// the responder took our proof.
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
