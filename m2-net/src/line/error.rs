//! The errors of lines.

use crate::dial_error::DialError;
use thiserror::Error;

/// Why an operation on a line failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum LineError {
    /// No session with the first relay could be established.
    #[error("the relay could not be reached: {0}")]
    Unreached(#[from] DialError),
    /// A relay did not reach the next one, or does not extend sessions.
    #[error("a relay did not reach the next relay")]
    NotExtended,
    /// No party listens on the line.
    #[error("no listener on the line")]
    NoLine,
    /// The line or the relay has reached its limit of channels.
    #[error("the relay has no room")]
    Full,
    /// The path to the relay does not carry packets of 1,200 bytes.
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
    /// Returns the stable reason code for the API.
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
