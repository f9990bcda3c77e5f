//! Why something about a line could not be done.

use crate::dial_error::DialError;
use thiserror::Error;

/// Why something about a line could not be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum LineError {
    /// No session with the first relay.
    #[error("the relay could not be reached: {0}")]
    Unreached(#[from] DialError),
    /// A relay did not reach the next one, or does not extend sessions.
    #[error("a relay did not reach the next relay")]
    NotExtended,
    /// Nobody listens on the line.
    #[error("nobody listens on the line")]
    NoLine,
    /// The line or the relay has as many channels as it may.
    #[error("the relay has no room")]
    Full,
    /// Packets of 1,200 bytes don't fit through the path to the relay.
    #[error("the path to the relay is too narrow for a line")]
    PathTooSmall,
    /// The relay did not answer in time.
    #[error("the relay did not answer")]
    NoAnswer,
    /// The session with the relay ended, or the relay broke the protocol.
    #[error("the session with the relay ended")]
    Ended,
}

impl LineError {
    /// A stable reason for the API.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Unreached(error) => error.reason(),
            Self::NotExtended => "NOT_EXTENDED",
            Self::NoLine => "NO_LINE",
            Self::Full => "RELAY_FULL",
            Self::PathTooSmall => "PATH_TOO_SMALL",
            Self::NoAnswer => "NO_ANSWER",
            Self::Ended => "LINE_ENDED",
        }
    }
}
