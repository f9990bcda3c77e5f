//! Why a peer can't be reached by a path.

use super::DirectError;
use m2_net::dial_error::DialError;
use m2_net::line::LineError;

/// Why a peer can't be reached by a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PathFailure {
    /// No path is known.
    NoPath,
    /// A direct dial failed.
    Direct(DirectError),
    /// The mode demands a relay of this daemon's own, and there is none.
    NoOwnRelay,
    /// The sockets for sessions with relays can't be bound.
    NoSocket,
    /// The line has no token for today.
    LineExpired,
    /// The first relay refused the session.
    RelayRefused,
    /// A relay, or the path through it, failed.
    Line(LineError),
    /// The dial within a line failed.
    WithinLine(DialError),
}

impl PathFailure {
    /// Returns a stable reason for the API.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::NoPath => "NO_ADDRESS",
            Self::Direct(error) => error.reason(),
            Self::NoOwnRelay => "NO_OWN_RELAY",
            Self::NoSocket => "NO_SOCKET",
            Self::LineExpired => "LINE_EXPIRED",
            Self::RelayRefused => "RELAY_REFUSED",
            Self::Line(error) => error.reason(),
            Self::WithinLine(error) => error.reason(),
        }
    }

    /// Returns how informative the failure is for the user. Of several paths, the highest counts.
    pub const fn weight(self) -> u8 {
        match self {
            Self::NoPath => 0,
            Self::Direct(DirectError::Dial(error)) => match error {
                DialError::WrongPeer => 5,
                DialError::NoCommonSuite => 4,
                DialError::Refused | DialError::Failed => 3,
                DialError::NoAnswer => 2,
                _ => 1,
            },
            _ => 1,
        }
    }
}
