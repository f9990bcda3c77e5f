//! Why a path to a peer, a relay or a provider failed.

use std::fmt;

/// Why a path to a peer, a relay or a provider failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PathFailure {
    /// No address or line is known.
    NoPath,
    /// The address filter does not admit the address.
    NotAllowed,
    /// The budget for addresses that the contact named is spent. It fills up within a minute.
    BudgetSpent,
    /// The timeout has passed without an answer.
    NoAnswer,
    /// The peer that answered does not hold the key of the dialled peer id.
    WrongKey,
    /// The two versions of M2 have no suite in common.
    NoCommonSuite,
    /// No session key was ready in time: too many dials at once.
    NoKeyReady,
    /// The peer is reachable and accepts no session from this daemon.
    Refused,
    /// The peer does not have this identity as a contact.
    NotAContact,
    /// The peer ended the session because this daemon broke the protocol.
    Misbehaved,
    /// The handshake was altered on the way, or one side broke the protocol.
    HandshakeFailed,
    /// No socket of this daemon can reach the address.
    NoSocket,
    /// This side is closing, or the address can't be dialled.
    NotDialled,
    /// The mode demands a relay of this daemon's own, and there is none.
    NoOwnRelay,
    /// The line has no token for today.
    LineExpired,
    /// The first relay refused the session.
    RelayRefused,
    /// A relay did not extend the session.
    NotExtended,
    /// The relay has no such line.
    NoLine,
    /// The relay takes no more lines.
    RelayFull,
    /// The path is too small for a session within it.
    PathTooSmall,
    /// The session with the relay has ended.
    LineEnded,
    /// The session with the provider was lost.
    SessionLost,
    /// The provider broke the protocol.
    ProviderMisbehaved,
    /// The provider refused the session.
    ProviderRefused,
    /// The provider can't use its store now.
    ProviderUnavailable,
    /// The provider refused the letter: its token is not valid.
    MailboxRefused,
    /// No token for the contact's boxes is left, or no secret for letters: it gives both in a session.
    NoToken,
    /// The contact's provider keeps a box of this daemon, and could link the two.
    OwnProvider,
    /// The box is full.
    MailboxFull,
    /// The provider has no room.
    MailboxServerFull,
}

impl PathFailure {
    /// Returns the stable reason, on which scripts rely.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::NoPath => "NO_ADDRESS",
            Self::NotAllowed => "ADDRESS_NOT_ALLOWED",
            Self::BudgetSpent => "ADDRESS_BUDGET_SPENT",
            Self::NoAnswer => "NO_ANSWER",
            Self::WrongKey => "WRONG_KEY",
            Self::NoCommonSuite => "NO_COMMON_SUITE",
            Self::NoKeyReady => "NO_KEY_READY",
            Self::Refused => "REFUSED",
            Self::NotAContact => "NOT_A_CONTACT",
            Self::Misbehaved => "MISBEHAVED",
            Self::HandshakeFailed => "HANDSHAKE_FAILED",
            Self::NoSocket => "NO_SOCKET",
            Self::NotDialled => "NOT_CALLED",
            Self::NoOwnRelay => "NO_OWN_RELAY",
            Self::LineExpired => "LINE_EXPIRED",
            Self::RelayRefused => "RELAY_REFUSED",
            Self::NotExtended => "NOT_EXTENDED",
            Self::NoLine => "NO_LINE",
            Self::RelayFull => "RELAY_FULL",
            Self::PathTooSmall => "PATH_TOO_SMALL",
            Self::LineEnded => "LINE_ENDED",
            Self::SessionLost => "SESSION_LOST",
            Self::ProviderMisbehaved => "PROVIDER_MISBEHAVED",
            Self::ProviderRefused => "PROVIDER_REFUSED",
            Self::ProviderUnavailable => "PROVIDER_UNAVAILABLE",
            Self::MailboxRefused => "MAILBOX_REFUSED",
            Self::NoToken => "NO_TOKEN",
            Self::OwnProvider => "OWN_PROVIDER",
            Self::MailboxFull => "MAILBOX_FULL",
            Self::MailboxServerFull => "MAILBOX_SERVER_FULL",
        }
    }
}

impl fmt::Display for PathFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason())
    }
}
