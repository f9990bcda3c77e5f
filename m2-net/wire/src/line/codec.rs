//! Encodes and decodes line frames.

use super::{
    Channel, EXTEND_BYTES, Extend, JoinOutcome, Line, MAX_ADDRESSES, MAX_DAYS, MAX_HOPS, MAX_LINES,
    MAX_OPENED, OfferedLine, RelayMessage, Request,
};
use crate::{Malformed, fixed, parse_address};
use bytes::Bytes;
use m2_crypto::line::{JoinToken, LineSecret};
use m2_crypto::{PeerId, Secret};
use m2_proto::wire::v1 as proto;
use proto::line::Body;

impl Line {
    pub(crate) fn parse(frame: proto::Line) -> Result<Self, Malformed> {
        Ok(match frame.body.ok_or(Malformed::UnknownBody)? {
            Body::OpenLines(open) => Self::Request(Request::Open(parse_secrets(&open.secrets)?)),
            Body::CloseLines(close) => {
                Self::Request(Request::Close(parse_tokens(&close.tokens, MAX_OPENED)?))
            }
            Body::JoinLine(join) => Self::Request(Request::Join(
                Channel(join.channel),
                JoinToken(fixed(&join.token)?),
            )),
            Body::ExtendSession(extend) => Self::Request(Request::Extend(Extend::parse(extend)?)),
            Body::ObserveParty(_) => Self::Request(Request::Observe),
            Body::PartyObserved(observed) => {
                Self::RelayMessage(RelayMessage::Observed(parse_address(observed.address)?))
            }
            Body::LinesOpened(opened) => Self::RelayMessage(RelayMessage::Opened(opened.count)),
            Body::LineJoined(joined) => Self::RelayMessage(RelayMessage::Joined(
                Channel(joined.channel),
                JoinOutcome::parse(joined.outcome())?,
            )),
            Body::LineCalled(called) => Self::RelayMessage(RelayMessage::Called(
                Channel(called.channel),
                JoinToken(fixed(&called.token)?),
            )),
            Body::SessionExtended(extended) => {
                Self::RelayMessage(RelayMessage::Extended(extended.done))
            }
            Body::LeaveChannel(leave) => Self::Leave(Channel(leave.channel)),
            Body::Offer(offer) => Self::Offer(parse_offer(offer)?),
        })
    }

    pub(crate) fn into_proto(self) -> proto::Line {
        let body = match self {
            Self::Request(request) => request.into_proto(),
            Self::RelayMessage(told) => told.into_proto(),
            Self::Leave(channel) => Body::LeaveChannel(proto::LeaveChannel { channel: channel.0 }),
            Self::Offer(lines) => Body::Offer(proto::LineOffer {
                lines: lines.into_iter().map(OfferedLine::into_proto).collect(),
            }),
        };
        proto::Line { body: Some(body) }
    }
}

impl Request {
    fn into_proto(self) -> Body {
        match self {
            Self::Open(secrets) => Body::OpenLines(proto::OpenLines {
                secrets: secrets.iter().map(|secret| copy(secret.expose())).collect(),
            }),
            Self::Close(tokens) => Body::CloseLines(proto::CloseLines {
                tokens: copies(&tokens),
            }),
            Self::Join(channel, token) => Body::JoinLine(proto::JoinLine {
                channel: channel.0,
                token: copy(&token.0),
            }),
            Self::Extend(extend) => Body::ExtendSession(extend.into_proto()),
            Self::Observe => Body::ObserveParty(proto::ObserveParty {}),
        }
    }
}

impl RelayMessage {
    fn into_proto(self) -> Body {
        match self {
            Self::Opened(count) => Body::LinesOpened(proto::LinesOpened { count }),
            Self::Joined(channel, outcome) => Body::LineJoined(proto::LineJoined {
                channel: channel.0,
                outcome: outcome.into_proto().into(),
            }),
            Self::Called(channel, token) => Body::LineCalled(proto::LineCalled {
                channel: channel.0,
                token: copy(&token.0),
            }),
            Self::Extended(done) => Body::SessionExtended(proto::SessionExtended { done }),
            Self::Observed(address) => Body::PartyObserved(proto::PartyObserved {
                address: address.to_string(),
            }),
        }
    }
}

impl Extend {
    fn parse(extend: proto::ExtendSession) -> Result<Self, Malformed> {
        if extend.padding.len() < EXTEND_BYTES || extend.hops > MAX_HOPS {
            return Err(Malformed::Bounds);
        }
        Ok(Self {
            relay: PeerId::from_bytes(fixed(&extend.relay)?),
            address: parse_address(extend.address)?,
            hops: extend.hops,
        })
    }

    fn into_proto(self) -> proto::ExtendSession {
        proto::ExtendSession {
            relay: copy(self.relay.as_bytes()),
            address: self.address.to_string(),
            hops: self.hops,
            padding: Bytes::from_static(&[0; EXTEND_BYTES]),
        }
    }
}

impl JoinOutcome {
    const fn parse(outcome: proto::JoinOutcome) -> Result<Self, Malformed> {
        match outcome {
            proto::JoinOutcome::Joined => Ok(Self::Joined),
            proto::JoinOutcome::NoLine => Ok(Self::NoLine),
            proto::JoinOutcome::Full => Ok(Self::Full),
            proto::JoinOutcome::Unspecified => Err(Malformed::UnknownBody),
        }
    }

    const fn into_proto(self) -> proto::JoinOutcome {
        match self {
            Self::Joined => proto::JoinOutcome::Joined,
            Self::NoLine => proto::JoinOutcome::NoLine,
            Self::Full => proto::JoinOutcome::Full,
        }
    }
}

impl OfferedLine {
    fn parse(offered: proto::OfferedLine) -> Result<Self, Malformed> {
        if !(1..=MAX_ADDRESSES).contains(&offered.addresses.len()) {
            return Err(Malformed::Bounds);
        }
        Ok(Self {
            relay: PeerId::from_bytes(fixed(&offered.relay)?),
            addresses: offered
                .addresses
                .into_iter()
                .map(parse_address)
                .collect::<Result<_, _>>()?,
            first_day: offered.first_day,
            tokens: parse_tokens(&offered.tokens, MAX_DAYS)?,
        })
    }

    fn into_proto(self) -> proto::OfferedLine {
        proto::OfferedLine {
            relay: copy(self.relay.as_bytes()),
            addresses: self.addresses.iter().map(ToString::to_string).collect(),
            first_day: self.first_day,
            tokens: copies(&self.tokens),
        }
    }
}

fn parse_offer(offer: proto::LineOffer) -> Result<Vec<OfferedLine>, Malformed> {
    if offer.lines.len() > MAX_LINES {
        return Err(Malformed::Bounds);
    }
    offer.lines.into_iter().map(OfferedLine::parse).collect()
}

fn parse_secrets(list: &[Bytes]) -> Result<Vec<LineSecret>, Malformed> {
    if !(1..=MAX_OPENED).contains(&list.len()) {
        return Err(Malformed::Bounds);
    }
    let secret = |bytes| fixed(bytes).map(|bytes| LineSecret::new(Secret::new(bytes)));
    list.iter().map(secret).collect()
}

fn parse_tokens(list: &[Bytes], most: usize) -> Result<Vec<JoinToken>, Malformed> {
    if !(1..=most).contains(&list.len()) {
        return Err(Malformed::Bounds);
    }
    list.iter()
        .map(|token| fixed(token).map(JoinToken))
        .collect()
}

fn copies(tokens: &[JoinToken]) -> Vec<Bytes> {
    tokens.iter().map(|token| copy(&token.0)).collect()
}

fn copy(bytes: &[u8]) -> Bytes {
    Bytes::copy_from_slice(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Message;
    use prost::Message as _;

    fn round_trip(line: Line) {
        let message = Message::Line(Box::new(line));
        let frame = message.clone().into_proto().encode_to_vec();
        assert_eq!(Message::decode(frame.into()), Ok(message));
    }

    fn refused(body: Body) -> Malformed {
        Line::parse(proto::Line { body: Some(body) }).unwrap_err()
    }

    fn extend() -> Extend {
        Extend {
            relay: PeerId::from_bytes([3; 32]),
            address: "127.0.0.1:9".parse().unwrap(),
            hops: MAX_HOPS,
        }
    }

    fn offered() -> OfferedLine {
        OfferedLine {
            relay: PeerId::from_bytes([3; 32]),
            addresses: vec!["[::1]:9".parse().unwrap(); MAX_ADDRESSES],
            first_day: 20_000,
            tokens: vec![JoinToken([4; 16]); MAX_DAYS],
        }
    }

    #[test]
    fn every_frame_survives_the_wire() {
        let secrets = vec![LineSecret::new(Secret::new([1; 32])); MAX_OPENED];
        for request in [
            Request::Open(secrets),
            Request::Close(vec![JoinToken([2; 16]); MAX_OPENED]),
            Request::Join(Channel(1), JoinToken([2; 16])),
            Request::Extend(extend()),
            Request::Observe,
        ] {
            round_trip(Line::Request(request));
        }
        for told in [
            RelayMessage::Opened(7),
            RelayMessage::Joined(Channel(1), JoinOutcome::Joined),
            RelayMessage::Joined(Channel(1), JoinOutcome::NoLine),
            RelayMessage::Joined(Channel(1), JoinOutcome::Full),
            RelayMessage::Called(Channel(2), JoinToken([2; 16])),
            RelayMessage::Extended(true),
            RelayMessage::Observed("[2001:db8::1]:65535".parse().unwrap()),
        ] {
            round_trip(Line::RelayMessage(told));
        }
        round_trip(Line::Leave(Channel(u32::MAX)));
        round_trip(Line::Offer(Vec::new()));
        round_trip(Line::Offer(vec![offered(); MAX_LINES]));
    }

    #[test]
    fn bounds_are_enforced() {
        let none = proto::OpenLines::default();
        assert_eq!(refused(Body::OpenLines(none)), Malformed::Bounds);
        let secrets = vec![copy(&[0; 32]); MAX_OPENED + 1];
        let many = proto::OpenLines { secrets };
        assert_eq!(refused(Body::OpenLines(many)), Malformed::Bounds);
        let short = proto::CloseLines {
            tokens: vec![copy(&[0; 15])],
        };
        assert_eq!(refused(Body::CloseLines(short)), Malformed::FixedLength);
        let unpadded = proto::ExtendSession {
            padding: Bytes::new(),
            ..extend().into_proto()
        };
        assert_eq!(refused(Body::ExtendSession(unpadded)), Malformed::Bounds);
        let far = Extend {
            hops: MAX_HOPS + 1,
            ..extend()
        };
        assert_eq!(
            refused(Body::ExtendSession(far.into_proto())),
            Malformed::Bounds
        );
        let lines = vec![offered().into_proto(); MAX_LINES + 1];
        let offer = proto::LineOffer { lines };
        assert_eq!(refused(Body::Offer(offer)), Malformed::Bounds);
        let nowhere = OfferedLine {
            addresses: Vec::new(),
            ..offered()
        };
        let offer = proto::LineOffer {
            lines: vec![nowhere.into_proto()],
        };
        assert_eq!(refused(Body::Offer(offer)), Malformed::Bounds);
    }
}
