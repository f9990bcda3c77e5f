//! Failed handshakes: what goes on the wire, and what a dialer is told.

use m2_crypto::handshake::HandshakeError;
use quinn_proto::{ConnectionError, TransportError, TransportErrorCode};
use thiserror::Error;

/// The codes of handshake errors on the wire, as QUIC crypto errors (0x100 + code). One for each
/// public reason; all else is one and the same.
pub mod code {
    /// The responder is not who was called.
    pub const WRONG_PEER: u8 = 0x01;
    /// No suite in common.
    pub const NO_COMMON_SUITE: u8 = 0x02;
    /// Everything else.
    pub const FAILED: u8 = 0x28;
}

pub(super) fn transport_error(error: &HandshakeError) -> TransportError {
    let code = match error {
        HandshakeError::WrongPeer => code::WRONG_PEER,
        HandshakeError::NoCommonSuite => code::NO_COMMON_SUITE,
        HandshakeError::Peer(_) | HandshakeError::Local(_) => code::FAILED,
    };
    // The reason would travel: it stays empty.
    TransportErrorCode::crypto(code).into()
}

/// Why a dialed session did not come up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Error)]
pub enum HandshakeFailure {
    /// Somebody answered who does not hold the key of the called peer id.
    #[error("another identity answered than the one that was called")]
    WrongPeer,
    /// The two versions of M2 have no suite in common.
    #[error("no cipher suite in common: one of the two sides needs a newer version")]
    NoCommonSuite,
    /// The handshake was altered, or one side broke the protocol.
    #[error("the handshake failed")]
    Failed,
    /// The responder is there and takes no call.
    #[error("the call was refused")]
    Refused,
    /// Nothing answered. So it is too when the other side lives in another circle, or has
    /// another peer id than the called one.
    #[error("nothing answered")]
    NoAnswer,
    /// This side gave up or can take no more connections.
    #[error("the call was given up on this side")]
    GivenUp,
    /// QUIC failed before the handshake ended.
    #[error("the connection broke before the handshake ended")]
    Broken,
}

impl From<&ConnectionError> for HandshakeFailure {
    fn from(error: &ConnectionError) -> Self {
        match error {
            ConnectionError::TransportError(error) => match crypto_code(error.code) {
                // Only this side can know it; a peer's word for it counts for nothing.
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

/// The code of a QUIC crypto error.
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
    fn who_answers_cannot_claim_to_be_the_wrong_peer() {
        let claim = there(TransportErrorCode::crypto(code::WRONG_PEER));
        assert_eq!(claim, HandshakeFailure::Failed);
    }

    #[test]
    fn one_code_for_all_that_a_peer_need_not_know() {
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
