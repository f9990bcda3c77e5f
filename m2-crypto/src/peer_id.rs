//! Peer ids: the name of an identity in a circle (docs/spec/identity.md#certificate-and-peer-id).

use crate::circle::CircleId;
use crate::label;
use bech32::primitives::decode::CheckedHrpstring;
use bech32::{Bech32m, Hrp};
use std::fmt;
use std::str::FromStr;
use thiserror::Error;

const HRP: Hrp = Hrp::parse_unchecked("m2");

/// A hash (SHA-256) over the circle's id and the user certificate's SPKI. `Display` formats it as
/// bech32m with the prefix `m2`. `Debug` prints none of it, so that no log contains it by accident.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PeerId([u8; 32]);

impl PeerId {
    /// Computes the id of the certificate whose SPKI DER is `spki`, in one circle.
    pub fn of(circle: &CircleId, spki: &[u8]) -> Self {
        Self(label::hash("peer id", &[circle.as_bytes(), spki]))
    }

    /// Wraps 32 bytes read from a store or a message.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Returns the id's 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl TryFrom<&[u8]> for PeerId {
    type Error = PeerIdError;

    fn try_from(bytes: &[u8]) -> Result<Self, PeerIdError> {
        bytes.try_into().map(Self).map_err(|_| PeerIdError)
    }
}

/// The text or bytes are not a peer id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("not a peer id: expected bech32m text that starts with m21")]
pub struct PeerIdError;

impl fmt::Display for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        bech32::encode_to_fmt::<Bech32m, _>(f, HRP, &self.0).map_err(|_| fmt::Error)
    }
}

impl FromStr for PeerId {
    type Err = PeerIdError;

    fn from_str(text: &str) -> Result<Self, PeerIdError> {
        let checked = CheckedHrpstring::new::<Bech32m>(text).map_err(|_| PeerIdError)?;
        if checked.hrp() != HRP {
            return Err(PeerIdError);
        }
        let bytes: Vec<u8> = checked.byte_iter().collect();
        Self::try_from(bytes.as_slice())
    }
}

impl fmt::Debug for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PeerId(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_round_trip() {
        let id = PeerId::from_bytes([0x5a; 32]);
        let text = id.to_string();
        assert!(text.starts_with("m21"));
        assert_eq!(text.parse(), Ok(id));
        assert_eq!(text.to_uppercase().parse(), Ok(id));
    }

    #[test]
    fn a_typing_error_is_rejected() {
        let mut text = PeerId::from_bytes([1; 32]).to_string();
        let last = text.pop();
        text.push(if last == Some('q') { 'p' } else { 'q' });
        assert_eq!(text.parse::<PeerId>(), Err(PeerIdError));
        assert_eq!("".parse::<PeerId>(), Err(PeerIdError));
    }

    #[test]
    fn debug_is_redacted() {
        assert_eq!(format!("{:?}", PeerId::from_bytes([1; 32])), "PeerId(..)");
    }
}
