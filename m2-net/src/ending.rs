//! How sessions end.

use crate::wire::Malformed;
pub use m2_wire::CloseCode;
use quinn::VarInt;
use std::fmt;
use thiserror::Error;

/// Returns a code as QUIC carries it.
pub(crate) const fn on_wire(code: CloseCode) -> VarInt {
    VarInt::from_u32(code as u32)
}

/// How a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// This side closed it.
    Here,
    /// The peer closed it with this code, a [`CloseCode`] if known to this version.
    ByPeer(u64),
    /// The idle timeout has passed without a packet from the peer.
    Silence,
    /// The transport failed.
    Transport,
}

/// For debug lines.
impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Here => f.write_str("closed by this daemon"),
            Self::ByPeer(code) => write!(f, "closed by the peer: {}", CloseCode::name(*code)),
            Self::Silence => f.write_str("no packet from the peer"),
            Self::Transport => f.write_str("the transport failed"),
        }
    }
}

/// Sending or receiving failed, and usually the session has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SessionError {
    /// The session has ended.
    #[error("the session ended")]
    Closed,
    /// The session's exporter was erased, and no secret can be derived any more.
    #[error("the session's exporter was erased")]
    Erased,
    /// The peer broke the frame format, and the session was closed for it; or a message to be sent
    /// is too long, in which case the session continues.
    #[error("a frame is malformed or too long")]
    Malformed(#[from] Malformed),
}
