//! Failed handshakes: the codes on the wire, and the errors reported to a dial.

use m2_crypto::handshake::HandshakeError;
use quinn_proto::{ConnectionError, TransportError, TransportErrorCode};
use thiserror::Error;

/// The codes of handshake errors on the wire, as QUIC crypto errors (0x100 + code). There is one
/// for each public reason; all others share one code (docs/spec/handshake.md#errors).
pub mod code {
    /// The responder is not the peer that was dialled.
    pub const WRONG_PEER: u8 = 0x01;
    /// The two sides have no suite in common.
    pub const NO_COMMON_SUITE: u8 = 0x02;
    /// Any other failure.
    pub const FAILED: u8 = 0x28;
}

pub(super) fn transport_error(error: &HandshakeError) -> TransportError {
    let code = match error {
        HandshakeError::WrongPeer => code::WRONG_PEER,
        HandshakeError::NoCommonSuite => code::NO_COMMON_SUITE,
        HandshakeError::Peer(_) | HandshakeError::Local(_) => code::FAILED,
    };
    // A reason would be sent to the peer, so it stays empty.
    TransportErrorCode::crypto(code).into()
}

/// Why a dialled session did not come up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Error)]
pub enum HandshakeFailure {
    /// The peer that answered does not hold the key of the dialled peer id.
    #[error("the peer that answered is not the one that was dialled")]
    WrongPeer,
    /// The two versions of M2 have no suite in common.
    #[error("no cipher suite in common: one of the two sides needs a newer version")]
    NoCommonSuite,
    /// The handshake was altered, or one side broke the protocol.
    #[error("the handshake failed")]
    Failed,
    /// The responder is reachable and refused the connection.
    #[error("the connection was refused")]
    Refused,
    /// The timeout has passed without an answer. This includes a peer of another circle, and an
    /// address at which another peer id than the dialled one listens.
    #[error("no answer")]
    NoAnswer,
    /// This side gave up or can open no more connections.
    #[error("this side gave up the connection attempt")]
    GivenUp,
    /// QUIC failed before the handshake ended.
    #[error("the connection broke before the handshake ended")]
    Broken,
}

impl From<&ConnectionError> for HandshakeFailure {
    fn from(error: &ConnectionError) -> Self {
        match error {
            ConnectionError::TransportError(error) => match crypto_code(error.code) {
                // Only this side can detect it; the same code from a peer is not trusted.
                Some(code::WRONG_PEER) => Self::WrongPeer,
                other => Self::of_code(other),
            },
            ConnectionError::ConnectionClosed(close) => match close.error_code {
                TransportErrorCode::CONNECTION_REFUSED => Self::Refused,
                code => Self::of_code(crypto_code(code)),
            },
            ConnectionError::TimedOut => Self::NoAnswer,
            ConnectionError::LocallyClosed | ConnectionError::CidsExhausted => Self::GivenUp,
            ConnectionError::ApplicationClosed(_)
            | ConnectionError::Reset
            | ConnectionError::VersionMismatch => Self::Broken,
        }
    }
}

impl HandshakeFailure {
    const fn of_code(code: Option<u8>) -> Self {
        match code {
            Some(code::NO_COMMON_SUITE) => Self::NoCommonSuite,
            Some(_) => Self::Failed,
            None => Self::Broken,
        }
    }
}

/// Returns the code of a QUIC crypto error.
fn crypto_code(code: TransportErrorCode) -> Option<u8> {
    u64::from(code)
        .checked_sub(0x100)
        .and_then(|code| u8::try_from(code).ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use m2_crypto::handshake::PeerMisbehaved;
    use quinn_proto::ConnectionClose;

    fn here(error: HandshakeError) -> HandshakeFailure {
        (&ConnectionError::TransportError(transport_error(&error))).into()
    }

    fn there(error_code: TransportErrorCode) -> HandshakeFailure {
        let close = ConnectionClose {
            error_code,
            frame_type: None,
            reason: Bytes::new(),
        };
        (&ConnectionError::ConnectionClosed(close)).into()
    }

    #[test]
    fn every_reason_comes_back() {
        let failed = HandshakeError::Peer(PeerMisbehaved::Signature);
        assert_eq!(here(failed), HandshakeFailure::Failed);
        assert_eq!(here(HandshakeError::WrongPeer), HandshakeFailure::WrongPeer);
        let none = here(HandshakeError::NoCommonSuite);
        assert_eq!(none, HandshakeFailure::NoCommonSuite);
        let none = there(TransportErrorCode::crypto(code::NO_COMMON_SUITE));
        assert_eq!(none, HandshakeFailure::NoCommonSuite);
        let refused = there(TransportErrorCode::CONNECTION_REFUSED);
        assert_eq!(refused, HandshakeFailure::Refused);
        let broken = there(TransportErrorCode::PROTOCOL_VIOLATION);
        assert_eq!(broken, HandshakeFailure::Broken);
    }

    #[test]
    fn a_responder_cannot_report_itself_as_the_wrong_peer() {
        let claim = there(TransportErrorCode::crypto(code::WRONG_PEER));
        assert_eq!(claim, HandshakeFailure::Failed);
    }

    #[test]
    fn reasons_hidden_from_the_peer_share_one_code() {
        for reason in [
            PeerMisbehaved::Malformed,
            PeerMisbehaved::Decrypt,
            PeerMisbehaved::Signature,
        ] {
            let error = transport_error(&reason.into());
            assert_eq!(error.code, TransportErrorCode::crypto(code::FAILED));
            assert!(error.reason.is_empty());
        }
    }
}
