//! Encodes and decodes mailbox frames.

use super::{
    BoxState, Deposit, Letter, MAX_ADDRESS, MAX_ADDRESSES, MAX_BOXES, MAX_REPORTED, MAX_TAKEN,
    MAX_TOKENS, Mailbox, OfferedBox, Outcome, Request, Series, TokenWithKey,
};
use crate::{Malformed, bounded_text, fixed};
use bytes::Bytes;
use m2_crypto::deposit::{BoxKey, DepositNonce, DepositToken};
use m2_crypto::letter::LETTER_SIZES;
use m2_crypto::one_time_key::OneTimePublicKey;
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
                key: box_key(&register.box_key)?,
            }),
            Body::OpenBox(open) => Self::Request(Request::Open(box_key(&open.box_key)?)),
            Body::RemoveBox(_) => Self::Request(Request::Remove),
            Body::LettersTaken(taken) => {
                Self::Request(Request::Taken(some(nonces(&taken.nonces, MAX_TAKEN)?)?))
            }
            Body::BoxState(state) => Self::State(parse_state(state)?),
            Body::Letter(letter) => Self::Letter(Letter {
                nonce: nonce(&letter.nonce)?,
                sealed: sealed(letter.sealed)?,
            }),
            Body::Deposit(deposit) => Self::Deposit(Deposit {
                owner: PeerId::from_bytes(fixed(&deposit.r#box)?),
                token: token(&deposit.token)?,
                sealed: sealed(deposit.sealed)?,
            }),
            Body::Deposited(deposited) => Self::Deposited {
                nonce: nonce(&deposited.nonce)?,
                outcome: Outcome::parse(deposited.outcome())?,
            },
            Body::Offer(offer) => Self::Offer(parse_offer(offer)?),
            Body::Tokens(tokens) => parse_tokens(tokens)?,
            Body::TokenReport(report) => Self::TokenReport {
                taken: nonces(&report.taken, MAX_REPORTED)?,
                refused: nonces(&report.refused, MAX_REPORTED)?,
            },
            Body::SeriesHeld(held) => {
                let held = bounded(held.series, MAX_BOXES)?;
                let held = held.iter().map(|name| fixed(name).map(Series));
                Self::SeriesHeld(held.collect::<Result<_, _>>()?)
            }
            Body::LetterSecrets(secrets) => Self::LetterSecrets {
                stored: fixed(&secrets.stored)?,
                seals_with: match &secrets.seals_with {
                    none if none.is_empty() => None,
                    name => Some(fixed(name)?),
                },
            },
        })
    }

    pub(crate) fn into_proto(self) -> proto::Mailbox {
        let body = match self {
            Self::Request(request) => request.into_proto(),
            Self::State(state) => Body::BoxState(proto::BoxState {
                open: state.open,
                max_letters: state.max_letters,
                max_bytes: state.max_bytes,
                reason: state.reason,
            }),
            Self::Letter(letter) => Body::Letter(proto::Letter {
                nonce: copy(letter.nonce.as_bytes()),
                sealed: letter.sealed,
            }),
            Self::Deposit(deposit) => Body::Deposit(proto::Deposit {
                r#box: copy(deposit.owner.as_bytes()),
                token: copy(&deposit.token.to_bytes()),
                sealed: deposit.sealed,
            }),
            Self::Deposited { nonce, outcome } => Body::Deposited(proto::Deposited {
                nonce: copy(nonce.as_bytes()),
                outcome: outcome.into_proto().into(),
            }),
            Self::Offer(boxes) => Body::Offer(proto::MailboxOffer {
                boxes: boxes.into_iter().map(OfferedBox::into_proto).collect(),
            }),
            Self::Tokens { series, tokens } => Body::Tokens(proto::MailboxTokens {
                series: copy(&series.0),
                tokens: tokens.iter().map(TokenWithKey::to_proto).collect(),
            }),
            Self::TokenReport { taken, refused } => Body::TokenReport(proto::TokenReport {
                taken: copies(&taken),
                refused: copies(&refused),
            }),
            Self::SeriesHeld(held) => Body::SeriesHeld(proto::SeriesHeld {
                series: held.iter().map(|series| copy(&series.0)).collect(),
            }),
            Self::LetterSecrets { stored, seals_with } => {
                Body::LetterSecrets(proto::LetterSecrets {
                    stored: copy(&stored),
                    seals_with: seals_with.map_or_else(Bytes::new, |name| copy(&name)),
                })
            }
        };
        proto::Mailbox { body: Some(body) }
    }
}

impl Request {
    fn into_proto(self) -> Body {
        match self {
            Self::Register {
                invite_id,
                proof,
                key,
            } => Body::RegisterBox(proto::RegisterBox {
                invite_id: copy(&invite_id),
                proof: copy(&proof),
                box_key: copy(key.expose()),
            }),
            Self::Open(key) => Body::OpenBox(proto::OpenBox {
                box_key: copy(key.expose()),
            }),
            Self::Remove => Body::RemoveBox(proto::RemoveBox {}),
            Self::Taken(nonces) => Body::LettersTaken(proto::LettersTaken {
                nonces: copies(&nonces),
            }),
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
            series: Series(fixed(&offered.series)?),
        })
    }

    fn into_proto(self) -> proto::OfferedBox {
        proto::OfferedBox {
            provider: copy(self.provider.as_bytes()),
            addresses: self.addresses.iter().map(ToString::to_string).collect(),
            series: copy(&self.series.0),
        }
    }
}

impl TokenWithKey {
    fn parse(given: &proto::TokenWithKey) -> Result<Self, Malformed> {
        Ok(Self {
            token: token(&given.token)?,
            key: OneTimePublicKey::from_bytes(&given.key).map_err(|_| Malformed::Bounds)?,
        })
    }

    fn to_proto(&self) -> proto::TokenWithKey {
        proto::TokenWithKey {
            token: copy(&self.token.to_bytes()),
            key: self.key.to_bytes().into(),
        }
    }
}

fn parse_offer(offer: proto::MailboxOffer) -> Result<Vec<OfferedBox>, Malformed> {
    let boxes = bounded(offer.boxes, MAX_BOXES)?;
    boxes.into_iter().map(OfferedBox::parse).collect()
}

fn parse_tokens(given: proto::MailboxTokens) -> Result<Mailbox, Malformed> {
    let tokens = some(bounded(given.tokens, MAX_TOKENS)?)?;
    let tokens = tokens.iter().map(TokenWithKey::parse);
    Ok(Mailbox::Tokens {
        series: Series(fixed(&given.series)?),
        tokens: tokens.collect::<Result<_, _>>()?,
    })
}

fn parse_state(state: proto::BoxState) -> Result<BoxState, Malformed> {
    Ok(BoxState {
        open: state.open,
        max_letters: state.max_letters,
        max_bytes: state.max_bytes,
        reason: bounded_text(state.reason, MAX_REASON)?,
    })
}

fn box_key(bytes: &Bytes) -> Result<BoxKey, Malformed> {
    Ok(BoxKey::new(Secret::new(fixed(bytes)?)))
}

fn token(bytes: &Bytes) -> Result<DepositToken, Malformed> {
    DepositToken::from_bytes(bytes).ok_or(Malformed::FixedLength)
}

fn nonce(bytes: &Bytes) -> Result<DepositNonce, Malformed> {
    fixed(bytes).map(DepositNonce::from_bytes)
}

fn nonces(list: &[Bytes], most: usize) -> Result<Vec<DepositNonce>, Malformed> {
    if list.len() > most {
        return Err(Malformed::Bounds);
    }
    list.iter().map(nonce).collect()
}

/// Checks the size of a sealed letter.
fn sealed(letter: Bytes) -> Result<Bytes, Malformed> {
    if LETTER_SIZES.contains(&letter.len()) {
        Ok(letter)
    } else {
        Err(Malformed::Bounds)
    }
}

fn bounded<T>(list: Vec<T>, most: usize) -> Result<Vec<T>, Malformed> {
    if list.len() > most {
        return Err(Malformed::Bounds);
    }
    Ok(list)
}

fn some<T>(list: Vec<T>) -> Result<Vec<T>, Malformed> {
    if list.is_empty() {
        return Err(Malformed::Bounds);
    }
    Ok(list)
}

fn copies(nonces: &[DepositNonce]) -> Vec<Bytes> {
    let bytes = nonces.iter().map(|nonce| copy(nonce.as_bytes()));
    bytes.collect()
}

fn copy(bytes: &[u8]) -> Bytes {
    Bytes::copy_from_slice(bytes)
}

#[cfg(test)]
mod tests;
