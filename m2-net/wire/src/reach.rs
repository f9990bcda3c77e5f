//! The frames with which two contacts find a direct path (`docs/spec/reach.md`).

use super::{Malformed, parse_address};
use m2_crypto::address::NamedAddress;
use m2_proto::wire::v1 as proto;
use proto::reach::Body;

/// The maximum number of candidates of one side.
pub const MAX_CANDIDATES: usize = 8;

/// One frame about the direct path between two contacts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reach {
    /// The address at which the sender sees the receiver.
    Observed(NamedAddress),
    /// The addresses at which the sender may be reachable.
    Candidates(Candidates),
}

/// The addresses at which a peer may be reachable directly.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidates {
    /// The addresses, the best first, at most [`MAX_CANDIDATES`].
    pub addresses: Vec<NamedAddress>,
    /// True if this answers the receiver's candidates, so that the receiver dials now.
    pub answer: bool,
}

impl Reach {
    pub(super) fn parse(frame: proto::Reach) -> Result<Self, Malformed> {
        match frame.body.ok_or(Malformed::UnknownBody)? {
            Body::Observed(observed) => parse_address(observed.address).map(Self::Observed),
            Body::Candidates(candidates) => {
                if candidates.addresses.len() > MAX_CANDIDATES {
                    return Err(Malformed::Bounds);
                }
                let addresses = candidates.addresses.into_iter().map(parse_address);
                Ok(Self::Candidates(Candidates {
                    addresses: addresses.collect::<Result<_, _>>()?,
                    answer: candidates.answer,
                }))
            }
        }
    }

    pub(super) fn into_proto(self) -> proto::Reach {
        let body = match self {
            Self::Observed(address) => Body::Observed(proto::Observed {
                address: address.to_string(),
            }),
            Self::Candidates(candidates) => Body::Candidates(proto::Candidates {
                addresses: candidates
                    .addresses
                    .iter()
                    .map(ToString::to_string)
                    .collect(),
                answer: candidates.answer,
            }),
        };
        proto::Reach { body: Some(body) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{MAX_ADDRESS, Message};
    use prost::Message as _;

    fn candidates(count: usize) -> Candidates {
        Candidates {
            addresses: vec!["[2001:db8::1]:65535".parse().unwrap(); count],
            answer: count % 2 == 1,
        }
    }

    #[test]
    fn every_frame_survives_the_wire() {
        for reach in [
            Reach::Observed("192.0.2.1:9".parse().unwrap()),
            Reach::Candidates(candidates(0)),
            Reach::Candidates(candidates(MAX_CANDIDATES - 1)),
            Reach::Candidates(candidates(MAX_CANDIDATES)),
        ] {
            let message = Message::Reach(Box::new(reach));
            let frame = message.clone().into_proto().encode_to_vec();
            assert_eq!(Message::decode(frame.into()), Ok(message));
        }
    }

    #[test]
    fn bounds_are_enforced() {
        let refused = |body| Reach::parse(proto::Reach { body }).unwrap_err();
        assert_eq!(refused(None), Malformed::UnknownBody);
        let many = Reach::Candidates(candidates(MAX_CANDIDATES + 1));
        assert_eq!(refused(many.into_proto().body), Malformed::Bounds);
        for address in ["", "nowhere", &"1".repeat(MAX_ADDRESS + 1)] {
            let address = address.to_owned();
            let body = Body::Observed(proto::Observed { address });
            assert_eq!(refused(Some(body)), Malformed::Bounds);
        }
    }
}
