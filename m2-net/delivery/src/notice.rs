//! Notices: sealed like messages, but neither stored nor acknowledged (docs/spec/delivery.md#notices).

use super::payload::PayloadError;
use m2_limits::token_bucket::{Rate, TokenBucket};
use m2_proto::wire::v1 as wire;
use prost::Message;

/// The number of notices that a side sends at once; then one in a second.
const SENT_AT_ONCE: u64 = 4;
/// The number of notices of the peer that a side processes at once, and in a second: more than a peer sends, as
/// the path may bring several together.
const TAKEN_AT_ONCE: u64 = 16;
const TAKEN_PER_SECOND: u64 = 4;

/// What the peer does at this moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notice {
    /// Its user types a message, or does so no longer.
    Typing {
        /// False if the user stopped.
        active: bool,
    },
    /// A notice of a later version. Only received.
    Unknown,
}

impl Notice {
    /// Returns the notice of a decoded payload without a place. `None` stands for a body that this version does
    /// not know.
    pub(super) const fn from_wire(
        body: Option<&wire::payload::Body>,
        ttl_s: u32,
    ) -> Result<Self, PayloadError> {
        if ttl_s != 0 {
            return Err(PayloadError::Notice);
        }
        match body {
            None => Ok(Self::Unknown),
            Some(wire::payload::Body::Typing(typing)) => Ok(Self::Typing {
                active: typing.active,
            }),
            Some(_) => Err(PayloadError::Sequence),
        }
    }

    /// Returns the encoded plaintext to seal; `None` for an unknown notice.
    pub(super) fn encode(&self) -> Option<Vec<u8>> {
        let body = match *self {
            Self::Typing { active } => wire::payload::Body::Typing(wire::Typing { active }),
            Self::Unknown => return None,
        };
        let payload = wire::Payload {
            body: Some(body),
            ..wire::Payload::default()
        };
        Some(payload.encode_to_vec())
    }
}

/// Returns the rate limit of the notices that this side sends.
pub(super) const fn sending_rate() -> TokenBucket {
    TokenBucket::full(SENT_AT_ONCE, Rate::per_second(1), 0)
}

/// Returns the rate limit of the peer's notices that this side processes.
pub(super) const fn taking_rate() -> TokenBucket {
    TokenBucket::full(TAKEN_AT_ONCE, Rate::per_second(TAKEN_PER_SECOND), 0)
}
