//! Why a peer can't be reached by a path.

use super::DirectError;
use m2_core::PathFailure;
use m2_net::dial_error::DialError;
use m2_net::line::LineError;

/// Why a peer can't be reached by a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DialFailure {
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

impl DialFailure {
    /// Returns the reason as front-ends see it.
    pub const fn reason(self) -> PathFailure {
        match self {
            Self::NoPath => PathFailure::NoPath,
            Self::Direct(error) => error.reason(),
            Self::NoOwnRelay => PathFailure::NoOwnRelay,
            Self::NoSocket => PathFailure::NoSocket,
            Self::LineExpired => PathFailure::LineExpired,
            Self::RelayRefused => PathFailure::RelayRefused,
            Self::Line(error) => of_line(error),
            Self::WithinLine(error) => of_dial(error),
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

/// Returns why a dial failed, as front-ends see it.
pub const fn of_dial(error: DialError) -> PathFailure {
    match error {
        DialError::NoAnswer => PathFailure::NoAnswer,
        DialError::WrongPeer => PathFailure::WrongKey,
        DialError::NoCommonSuite => PathFailure::NoCommonSuite,
        DialError::NoKeyReady => PathFailure::NoKeyReady,
        DialError::Refused => PathFailure::Refused,
        DialError::Failed => PathFailure::HandshakeFailed,
        DialError::NoSocket => PathFailure::NoSocket,
        DialError::Local => PathFailure::NotDialled,
    }
}

/// Returns why a line failed, as front-ends see it.
pub const fn of_line(error: LineError) -> PathFailure {
    match error {
        LineError::Unreached(error) => of_dial(error),
        LineError::NotExtended => PathFailure::NotExtended,
        LineError::NoLine => PathFailure::NoLine,
        LineError::Full => PathFailure::RelayFull,
        LineError::PathTooSmall => PathFailure::PathTooSmall,
        LineError::NoAnswer => PathFailure::NoAnswer,
        LineError::Ended => PathFailure::LineEnded,
    }
}
