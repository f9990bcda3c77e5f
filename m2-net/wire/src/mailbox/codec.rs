//! Encodes and decodes mailbox frames.

use super::{
    Answer, BoxState, Deposit, Letter, LetterId, MAX_ADDRESS, MAX_ADDRESSES, MAX_BOXES, MAX_TAKEN,
    MAX_TOKENS, Mailbox, OfferedBox, Outcome, Request,
};
use crate::{Malformed, bounded_text, fixed};
use bytes::Bytes;
use m2_crypto::envelope::LETTER_SIZES;
use m2_crypto::mailbox::{TokenHash, TokenSeed};
use m2_crypto::{PeerId, Secret};
use m2_proto::wire::v1 as proto;
use proto::mailbox::Body;

/// The maximum length of the reason in a box's state, in bytes.
const MAX_REASON: usize = 64;

impl Mailbox {
    pub(crate) fn parse(frame: proto::Mailbox) -> Result<Self, Malformed> {
        Ok(match frame.body.ok_or(Malformed::UnknownBody)? {
            Body::RegisterBox(register) => Self::Request(Request::Register {
                invite_id: fixed(&register.invite_id)?,
                proof: fixed(&register.proof)?,
            }),
            Body::OpenBox(_) => Self::Request(Request::Open),
            Body::RemoveBox(_) => Self::Request(Request::Remove),
            Body::AddTokens(add) => Self::Request(Request::AddTokens(some_hashes(&add.hashes)?)),
            Body::RemoveTokens(remove) => {
                Self::Request(Request::RemoveTokens(some_hashes(&remove.hashes)?))
            }
            Body::ListTokens(_) => Self::Request(Request::ListTokens),
            Body::LettersTaken(taken) => Self::Request(Request::Taken(parse_taken(&taken)?)),
            Body::BoxState(state) => Self::Answer(Answer::State(parse_state(state)?)),
            Body::TokensChanged(changed) => Self::Answer(Answer::TokensChanged {
                done: changed.done,
                count: changed.count,
            }),
            Body::Tokens(tokens) => Self::Answer(Answer::Tokens {
                hashes: hashes(&tokens.hashes)?,
                last: tokens.last,
            }),
            Body::Letter(letter) => Self::Letter(Letter::parse(letter)?),
            Body::Deposit(deposit) => Self::Deposit(Deposit::parse(deposit)?),
            Body::Deposited(deposited) => Self::Deposited {
                id: LetterId(fixed(&deposited.letter_id)?),
                outcome: Outcome::parse(deposited.outcome())?,
            },
            Body::Offer(offer) => Self::Offer(parse_offer(offer)?),
        })
    }

    pub(crate) fn into_proto(self) -> proto::Mailbox {
        let body = match self {
            Self::Request(request) => request.into_proto(),
            Self::Answer(answer) => answer.into_proto(),
            Self::Letter(letter) => Body::Letter(letter.into_proto()),
            Self::Deposit(deposit) => Body::Deposit(deposit.into_proto()),
            Self::Deposited { id, outcome } => Body::Deposited(proto::Deposited {
                letter_id: copy(&id.0),
                outcome: outcome.into_proto().into(),
            }),
            Self::Offer(boxes) => Body::Offer(proto::MailboxOffer {
                boxes: boxes.into_iter().map(OfferedBox::into_proto).collect(),
            }),
        };
        proto::Mailbox { body: Some(body) }
    }
}

impl Request {
    fn into_proto(self) -> Body {
        match self {
            Self::Register { invite_id, proof } => Body::RegisterBox(proto::RegisterBox {
                invite_id: copy(&invite_id),
                proof: copy(&proof),
            }),
            Self::Open => Body::OpenBox(proto::OpenBox {}),
            Self::Remove => Body::RemoveBox(proto::RemoveBox {}),
            Self::AddTokens(hashes) => Body::AddTokens(proto::AddTokens {
                hashes: copies(&hashes),
            }),
            Self::RemoveTokens(hashes) => Body::RemoveTokens(proto::RemoveTokens {
                hashes: copies(&hashes),
            }),
            Self::ListTokens => Body::ListTokens(proto::ListTokens {}),
            Self::Taken(ids) => Body::LettersTaken(proto::LettersTaken {
                letter_ids: ids.iter().map(|id| copy(&id.0)).collect(),
            }),
        }
    }
}

impl Answer {
    fn into_proto(self) -> Body {
        match self {
            Self::State(state) => Body::BoxState(proto::BoxState {
                open: state.open,
                max_letters: state.max_letters,
                max_bytes: state.max_bytes,
                max_tokens: state.max_tokens,
                reason: state.reason,
            }),
            Self::TokensChanged { done, count } => {
                Body::TokensChanged(proto::TokensChanged { done, count })
            }
            Self::Tokens { hashes, last } => Body::Tokens(proto::Tokens {
                hashes: copies(&hashes),
                last,
            }),
        }
    }
}

impl Letter {
    fn parse(letter: proto::Letter) -> Result<Self, Malformed> {
        if !LETTER_SIZES.contains(&letter.sealed.len()) {
            return Err(Malformed::Bounds);
        }
        Ok(Self {
            id: LetterId(fixed(&letter.letter_id)?),
            sealed: letter.sealed,
        })
    }

    fn into_proto(self) -> proto::Letter {
        proto::Letter {
            letter_id: copy(&self.id.0),
            sealed: self.sealed,
        }
    }
}

impl Deposit {
    fn parse(deposit: proto::Deposit) -> Result<Self, Malformed> {
        Ok(Self {
            owner: PeerId::from_bytes(fixed(&deposit.r#box)?),
            token: Secret::new(fixed(&deposit.token)?),
            letter: Letter::parse(deposit.letter.ok_or(Malformed::Bounds)?)?,
        })
    }

    fn into_proto(self) -> proto::Deposit {
        proto::Deposit {
            r#box: copy(self.owner.as_bytes()),
            token: copy(self.token.expose()),
            letter: Some(self.letter.into_proto()),
        }
    }
}

impl Outcome {
    fn parse(outcome: proto::DepositOutcome) -> Result<Self, Malformed> {
        Ok(match outcome {
            proto::DepositOutcome::Stored => Self::Stored,
            proto::DepositOutcome::Refused => Self::Refused,
            proto::DepositOutcome::BoxFull => Self::BoxFull,
            proto::DepositOutcome::ServerFull => Self::ServerFull,
            proto::DepositOutcome::Unspecified => return Err(Malformed::UnknownBody),
        })
    }

    const fn into_proto(self) -> proto::DepositOutcome {
        match self {
            Self::Stored => proto::DepositOutcome::Stored,
            Self::Refused => proto::DepositOutcome::Refused,
            Self::BoxFull => proto::DepositOutcome::BoxFull,
            Self::ServerFull => proto::DepositOutcome::ServerFull,
        }
    }
}

impl OfferedBox {
    fn parse(offered: proto::OfferedBox) -> Result<Self, Malformed> {
        if !(1..=MAX_ADDRESSES).contains(&offered.addresses.len()) {
            return Err(Malformed::Bounds);
        }
        let addresses = offered.addresses.into_iter().map(|address| {
            let address = bounded_text(address, MAX_ADDRESS)?;
            address.parse().map_err(|_| Malformed::Bounds)
        });
        Ok(Self {
            provider: PeerId::from_bytes(fixed(&offered.provider)?),
            addresses: addresses.collect::<Result<_, _>>()?,
            seed: TokenSeed::new(Secret::new(fixed(&offered.seed)?)),
        })
    }

    fn into_proto(self) -> proto::OfferedBox {
        proto::OfferedBox {
            provider: copy(self.provider.as_bytes()),
            addresses: self.addresses.iter().map(ToString::to_string).collect(),
            seed: copy(self.seed.expose()),
        }
    }
}

fn parse_offer(offer: proto::MailboxOffer) -> Result<Vec<OfferedBox>, Malformed> {
    if offer.boxes.len() > MAX_BOXES {
        return Err(Malformed::Bounds);
    }
    offer.boxes.into_iter().map(OfferedBox::parse).collect()
}

fn parse_state(state: proto::BoxState) -> Result<BoxState, Malformed> {
    Ok(BoxState {
        open: state.open,
        max_letters: state.max_letters,
        max_bytes: state.max_bytes,
        max_tokens: state.max_tokens,
        reason: bounded_text(state.reason, MAX_REASON)?,
    })
}

fn parse_taken(taken: &proto::LettersTaken) -> Result<Vec<LetterId>, Malformed> {
    if !(1..=MAX_TAKEN).contains(&taken.letter_ids.len()) {
        return Err(Malformed::Bounds);
    }
    let ids = taken.letter_ids.iter().map(|id| fixed(id).map(LetterId));
    ids.collect()
}

fn some_hashes(list: &[Bytes]) -> Result<Vec<TokenHash>, Malformed> {
    if list.is_empty() {
        return Err(Malformed::Bounds);
    }
    hashes(list)
}

fn hashes(list: &[Bytes]) -> Result<Vec<TokenHash>, Malformed> {
    if list.len() > MAX_TOKENS {
        return Err(Malformed::Bounds);
    }
    list.iter().map(|hash| fixed(hash).map(TokenHash)).collect()
}

fn copies(hashes: &[TokenHash]) -> Vec<Bytes> {
    hashes.iter().map(|hash| copy(&hash.0)).collect()
}

fn copy(bytes: &[u8]) -> Bytes {
    Bytes::copy_from_slice(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Message;
    use prost::Message as _;

    fn letter() -> Letter {
        Letter {
            id: LetterId([1; 16]),
            sealed: vec![2; 2_048].into(),
        }
    }

    fn round_trip(mailbox: Mailbox) {
        let message = Message::Mailbox(Box::new(mailbox));
        let frame = message.clone().into_proto().encode_to_vec();
        assert_eq!(Message::decode(frame.into()), Ok(message));
    }

    fn refused(body: Body) -> Malformed {
        Mailbox::parse(proto::Mailbox { body: Some(body) }).unwrap_err()
    }

    #[test]
    fn requests_survive_the_wire() {
        let hashes = vec![TokenHash([7; 32]); MAX_TOKENS];
        for request in [
            Request::Register {
                invite_id: [1; 16],
                proof: [2; 32],
            },
            Request::Open,
            Request::Remove,
            Request::AddTokens(hashes.clone()),
            Request::RemoveTokens(hashes),
            Request::ListTokens,
            Request::Taken(vec![LetterId([3; 16]); MAX_TAKEN]),
        ] {
            round_trip(Mailbox::Request(request));
        }
    }

    #[test]
    fn answers_survive_the_wire() {
        for answer in [
            Answer::State(BoxState {
                open: true,
                max_letters: 1,
                max_bytes: u64::MAX,
                max_tokens: 2,
                reason: "BOXES_FULL".to_owned(),
            }),
            Answer::TokensChanged {
                done: true,
                count: 9,
            },
            Answer::Tokens {
                hashes: Vec::new(),
                last: true,
            },
        ] {
            round_trip(Mailbox::Answer(answer));
        }
        round_trip(Mailbox::Letter(letter()));
        for outcome in [
            Outcome::Stored,
            Outcome::Refused,
            Outcome::BoxFull,
            Outcome::ServerFull,
        ] {
            let id = LetterId([4; 16]);
            round_trip(Mailbox::Deposited { id, outcome });
        }
    }

    #[test]
    fn deposits_and_offers_survive_the_wire() {
        round_trip(Mailbox::Deposit(Deposit {
            owner: PeerId::from_bytes([1; 32]),
            token: Secret::new([2; 32]),
            letter: letter(),
        }));
        round_trip(Mailbox::Offer(Vec::new()));
        round_trip(Mailbox::Offer(vec![OfferedBox {
            provider: PeerId::from_bytes([3; 32]),
            addresses: vec!["127.0.0.1:9".parse().unwrap(), "[::1]:9".parse().unwrap()],
            seed: TokenSeed::new(Secret::new([4; 32])),
        }]));
    }

    #[test]
    fn bounds_are_enforced() {
        let none = proto::AddTokens { hashes: Vec::new() };
        assert_eq!(refused(Body::AddTokens(none)), Malformed::Bounds);
        let hashes = vec![copy(&[0; 32]); MAX_TOKENS + 1];
        let many = proto::Tokens { hashes, last: true };
        assert_eq!(refused(Body::Tokens(many)), Malformed::Bounds);
        let short = proto::RemoveTokens {
            hashes: vec![copy(&[0; 31])],
        };
        assert_eq!(refused(Body::RemoveTokens(short)), Malformed::FixedLength);
        let odd = proto::Letter {
            letter_id: copy(&[0; 16]),
            sealed: copy(&[0; 2_047]),
        };
        assert_eq!(refused(Body::Letter(odd)), Malformed::Bounds);
        let taken = proto::LettersTaken::default();
        assert_eq!(refused(Body::LettersTaken(taken)), Malformed::Bounds);
        let offered = proto::OfferedBox {
            provider: copy(&[0; 32]),
            addresses: vec!["not an address".to_owned()],
            seed: copy(&[0; 32]),
        };
        let offer = proto::MailboxOffer {
            boxes: vec![offered.clone()],
        };
        assert_eq!(refused(Body::Offer(offer)), Malformed::Bounds);
        let offer = proto::MailboxOffer {
            boxes: vec![offered; MAX_BOXES + 1],
        };
        assert_eq!(refused(Body::Offer(offer)), Malformed::Bounds);
    }
}
