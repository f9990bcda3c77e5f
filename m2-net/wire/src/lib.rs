#![doc = include_str!("../README.md")]

mod close_code;
pub mod line;
pub mod mailbox;
mod places;
pub mod reach;

pub use close_code::CloseCode;
pub use places::{MAX_SETTLED, Places};

use bytes::Bytes;
use m2_crypto::address::NamedAddress;
use m2_proto::wire::v1 as proto;
use prost::Message as _;
use proto::frame::Body;
use thiserror::Error;

/// The maximum number of acknowledgements in one frame.
pub const MAX_ACKS: usize = 1024;
/// The maximum length of the software version in a Hello, in bytes.
pub const MAX_VERSION: usize = 32;
/// The maximum length of the name in a contact request, in bytes.
pub const MAX_NAME: usize = 64;
/// The maximum length of a cover frame's contents, in bytes.
pub const MAX_COVER: usize = 2048;
/// The maximum length of an address as text, in bytes.
pub const MAX_ADDRESS: usize = 64;
/// The maximum length of a grant, in bytes.
pub const MAX_GRANT: usize = 4096;

/// The contents of one frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// The first frame in each direction, and never a later one.
    Hello(Hello),
    /// A message sealed under level 1.
    Envelope(Envelope),
    /// 1 to [`MAX_ACKS`] acknowledgements.
    Acks(Vec<Ack>),
    /// A request to become a contact.
    ContactRequest(ContactRequest),
    /// The answer to a contact request.
    ContactReply {
        /// True if the peers are now contacts.
        accepted: bool,
    },
    /// A notice that the sender of this frame can't open the messages of an epoch.
    EpochRefused {
        /// The incarnation to which the epoch belongs.
        incarnation: u64,
        /// The epoch.
        epoch: u64,
    },
    /// A frame about mailboxes.
    Mailbox(Box<mailbox::Mailbox>),
    /// A frame about lines.
    Line(Box<line::Line>),
    /// Cover of this many bytes, at most [`MAX_COVER`].
    Cover(usize),
    /// A frame about the direct path between two contacts.
    Reach(Box<reach::Reach>),
    /// The peer's places in both directions of the conversation.
    Places(Box<Places>),
}

/// Confirms that the session is established, and reports the sender's clock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hello {
    /// The sender's clock, Unix time in milliseconds; 0 from an anonymous sender.
    pub unix_ms: u64,
    /// The sender's software version, at most [`MAX_VERSION`] bytes.
    pub version: String,
    /// The purpose of the session, chosen by the initiator. The responder repeats it.
    pub purpose: Purpose,
}

/// The purpose of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub enum Purpose {
    /// The two identities talk to each other, as contacts or to become contacts; or the initiator
    /// is anonymous.
    #[default]
    Peer,
    /// The responder holds the initiator's mailbox (`docs/spec/mailbox.md`).
    Mailbox,
    /// The responder is a relay of the initiator, which is anonymous (`docs/spec/line.md`).
    Line,
}

/// One message under level 1 (`docs/spec/envelope.md`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// The signed grant that opens the envelope's epoch, at most [`MAX_GRANT`] bytes; empty once a
    /// message of the epoch was acknowledged.
    pub grant: Bytes,
    /// The sealed message, never empty.
    pub sealed: Bytes,
}

/// Confirms that a message is committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ack {
    /// The message id.
    pub message_id: [u8; 16],
    /// The content hash that was committed under that id.
    pub content_hash: [u8; 32],
}

/// A request to become a contact. Allowed before the peers are contacts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContactRequest {
    /// The proof that the sender holds an invitation, if it does.
    pub invite: Option<InviteProof>,
    /// The name that the sender suggests for itself, at most [`MAX_NAME`] bytes.
    pub name: String,
}

/// A proof that the sender holds an invitation's token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InviteProof {
    /// The id of the invitation.
    pub invite_id: [u8; 16],
    /// The proof, bound to this session by its exporter.
    pub proof: [u8; 32],
}

/// The peer broke the frame format: the session ends, and the violation is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Malformed {
    /// A frame is longer than the limit, or empty, or its length is not a valid varint.
    #[error("a frame's length is out of bounds")]
    Length,
    /// A frame is not a protobuf message.
    #[error("a frame can't be decoded")]
    Encoding,
    /// A frame has no body, or one that is unknown to this version.
    #[error("a frame's body is unknown")]
    UnknownBody,
    /// An id, hash or proof does not have its fixed length.
    #[error("an id or hash has the wrong length")]
    FixedLength,
    /// A session's purpose is unknown, or not repeated.
    #[error("a session's purpose is unknown or was not repeated")]
    Purpose,
    /// A list or text is empty or longer than allowed.
    #[error("a list or text is out of bounds")]
    Bounds,
    /// Another frame came before the Hello, or a second Hello.
    #[error("a frame came out of place")]
    OutOfPlace,
}

impl Message {
    /// Parses one frame, without its length.
    ///
    /// Errors: [`Malformed`].
    pub fn decode(frame: Bytes) -> Result<Self, Malformed> {
        let frame = proto::Frame::decode(frame).map_err(|_| Malformed::Encoding)?;
        match frame.body.ok_or(Malformed::UnknownBody)? {
            Body::Hello(hello) => hello.try_into().map(Self::Hello),
            Body::Envelope(envelope) => envelope.try_into().map(Self::Envelope),
            Body::Acks(acks) => parse_acks(acks).map(Self::Acks),
            Body::ContactRequest(request) => request.try_into().map(Self::ContactRequest),
            Body::ContactReply(reply) => Ok(Self::ContactReply {
                accepted: reply.accepted,
            }),
            Body::EpochRefused(refused) => Ok(Self::EpochRefused {
                incarnation: refused.incarnation,
                epoch: refused.epoch,
            }),
            Body::Mailbox(frame) => {
                mailbox::Mailbox::parse(frame).map(|parsed| Self::Mailbox(Box::new(parsed)))
            }
            Body::Cover(nothing) if nothing.len() <= MAX_COVER => Ok(Self::Cover(nothing.len())),
            Body::Cover(_) => Err(Malformed::Bounds),
            Body::Line(frame) => {
                line::Line::parse(frame).map(|parsed| Self::Line(Box::new(parsed)))
            }
            Body::Reach(frame) => {
                reach::Reach::parse(frame).map(|parsed| Self::Reach(Box::new(parsed)))
            }
            Body::Places(places) => {
                places::parse(places).map(|parsed| Self::Places(Box::new(parsed)))
            }
        }
    }

    /// Returns the frame that [`Self::decode`] parses.
    pub fn into_proto(self) -> proto::Frame {
        let body = match self {
            Self::Hello(hello) => Body::Hello(proto::Hello {
                unix_ms: hello.unix_ms,
                version: hello.version,
                purpose: hello.purpose.into_proto().into(),
            }),
            Self::Envelope(envelope) => Body::Envelope(proto::Envelope {
                grant: envelope.grant,
                sealed: envelope.sealed,
            }),
            Self::Acks(acks) => Body::Acks(proto::Acks {
                acks: acks.into_iter().map(Ack::to_proto).collect(),
            }),
            Self::ContactRequest(request) => Body::ContactRequest(request.into_proto()),
            Self::ContactReply { accepted } => Body::ContactReply(proto::ContactReply { accepted }),
            Self::EpochRefused { incarnation, epoch } => {
                Body::EpochRefused(proto::EpochRefused { incarnation, epoch })
            }
            Self::Mailbox(mailbox) => Body::Mailbox(mailbox.into_proto()),
            Self::Line(line) => Body::Line(line.into_proto()),
            Self::Reach(reach) => Body::Reach(reach.into_proto()),
            Self::Places(places) => Body::Places(places::into_proto(*places)),
            Self::Cover(length) => {
                Body::Cover(Bytes::from_static(&[0; MAX_COVER]).split_to(length.min(MAX_COVER)))
            }
        };
        proto::Frame { body: Some(body) }
    }
}

impl TryFrom<proto::Hello> for Hello {
    type Error = Malformed;

    fn try_from(hello: proto::Hello) -> Result<Self, Malformed> {
        Ok(Self {
            unix_ms: hello.unix_ms,
            purpose: Purpose::parse(hello.purpose)?,
            version: bounded_text(hello.version, MAX_VERSION)?,
        })
    }
}

impl Purpose {
    fn parse(purpose: i32) -> Result<Self, Malformed> {
        match proto::Purpose::try_from(purpose) {
            Ok(proto::Purpose::Peer) => Ok(Self::Peer),
            Ok(proto::Purpose::Mailbox) => Ok(Self::Mailbox),
            Ok(proto::Purpose::Line) => Ok(Self::Line),
            Err(_) => Err(Malformed::Purpose),
        }
    }

    const fn into_proto(self) -> proto::Purpose {
        match self {
            Self::Peer => proto::Purpose::Peer,
            Self::Mailbox => proto::Purpose::Mailbox,
            Self::Line => proto::Purpose::Line,
        }
    }
}

impl TryFrom<proto::Envelope> for Envelope {
    type Error = Malformed;

    fn try_from(envelope: proto::Envelope) -> Result<Self, Malformed> {
        if envelope.sealed.is_empty() || envelope.grant.len() > MAX_GRANT {
            return Err(Malformed::Bounds);
        }
        Ok(Self {
            grant: envelope.grant,
            sealed: envelope.sealed,
        })
    }
}

impl Ack {
    fn to_proto(self) -> proto::Ack {
        proto::Ack {
            message_id: Bytes::copy_from_slice(&self.message_id),
            content_hash: Bytes::copy_from_slice(&self.content_hash),
        }
    }
}

fn parse_acks(acks: proto::Acks) -> Result<Vec<Ack>, Malformed> {
    if !(1..=MAX_ACKS).contains(&acks.acks.len()) {
        return Err(Malformed::Bounds);
    }
    acks.acks
        .iter()
        .map(|ack| {
            Ok(Ack {
                message_id: fixed(&ack.message_id)?,
                content_hash: fixed(&ack.content_hash)?,
            })
        })
        .collect()
}

impl TryFrom<proto::ContactRequest> for ContactRequest {
    type Error = Malformed;

    fn try_from(request: proto::ContactRequest) -> Result<Self, Malformed> {
        let invite = match (request.invite_id.is_empty(), request.proof.is_empty()) {
            (true, true) => None,
            _ => Some(InviteProof {
                invite_id: fixed(&request.invite_id)?,
                proof: fixed(&request.proof)?,
            }),
        };
        Ok(Self {
            invite,
            name: bounded_text(request.name, MAX_NAME)?,
        })
    }
}

impl ContactRequest {
    fn into_proto(self) -> proto::ContactRequest {
        let (invite_id, proof) = self.invite.map_or_else(Default::default, |invite| {
            (
                Bytes::copy_from_slice(&invite.invite_id),
                Bytes::copy_from_slice(&invite.proof),
            )
        });
        proto::ContactRequest {
            invite_id,
            proof,
            name: self.name,
        }
    }
}

fn fixed<const N: usize>(bytes: &Bytes) -> Result<[u8; N], Malformed> {
    bytes
        .as_ref()
        .try_into()
        .map_err(|_| Malformed::FixedLength)
}

fn parse_address(text: String) -> Result<NamedAddress, Malformed> {
    let text = bounded_text(text, MAX_ADDRESS)?;
    text.parse().map_err(|_| Malformed::Bounds)
}

fn bounded_text(text: String, limit: usize) -> Result<String, Malformed> {
    if text.len() > limit {
        return Err(Malformed::Bounds);
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round_trip(message: Message) {
        let frame = message.clone().into_proto().encode_to_vec();
        assert_eq!(Message::decode(frame.into()), Ok(message));
    }

    fn refused(body: Body) -> Malformed {
        let frame = proto::Frame { body: Some(body) };
        Message::decode(frame.encode_to_vec().into()).unwrap_err()
    }

    #[test]
    fn every_message_survives_the_wire() {
        for purpose in [Purpose::Peer, Purpose::Mailbox, Purpose::Line] {
            round_trip(Message::Hello(Hello {
                unix_ms: 5,
                version: "0.1".into(),
                purpose,
            }));
        }
        round_trip(Message::Envelope(Envelope {
            grant: Bytes::new(),
            sealed: Bytes::from_static(b"sealed"),
        }));
        round_trip(Message::Acks(vec![
            Ack {
                message_id: [1; 16],
                content_hash: [2; 32]
            };
            MAX_ACKS
        ]));
        for invite in [
            None,
            Some(InviteProof {
                invite_id: [3; 16],
                proof: [4; 32],
            }),
        ] {
            round_trip(Message::ContactRequest(ContactRequest {
                invite,
                name: "n".repeat(MAX_NAME),
            }));
        }
        round_trip(Message::Cover(0));
        round_trip(Message::Cover(MAX_COVER));
        round_trip(Message::ContactReply { accepted: true });
        round_trip(Message::EpochRefused {
            incarnation: u64::MAX,
            epoch: 7,
        });
    }

    #[test]
    fn bounds_are_enforced() {
        assert_eq!(
            refused(Body::Acks(proto::Acks { acks: vec![] })),
            Malformed::Bounds
        );
        let ack = proto::Ack {
            message_id: vec![0; 16].into(),
            content_hash: vec![0; 32].into(),
        };
        let many = vec![ack.clone(); MAX_ACKS + 1];
        assert_eq!(
            refused(Body::Acks(proto::Acks { acks: many })),
            Malformed::Bounds
        );
        let short = proto::Ack {
            message_id: vec![0; 15].into(),
            ..ack
        };
        assert_eq!(
            refused(Body::Acks(proto::Acks { acks: vec![short] })),
            Malformed::FixedLength
        );
        assert_eq!(
            refused(Body::Envelope(proto::Envelope::default())),
            Malformed::Bounds
        );
        let version = "v".repeat(MAX_VERSION + 1);
        assert_eq!(
            refused(Body::Hello(proto::Hello {
                version,
                ..Default::default()
            })),
            Malformed::Bounds
        );
        assert_eq!(
            refused(Body::Hello(proto::Hello {
                purpose: 3,
                ..Default::default()
            })),
            Malformed::Purpose
        );
        let half = proto::ContactRequest {
            proof: vec![0; 32].into(),
            ..Default::default()
        };
        assert_eq!(refused(Body::ContactRequest(half)), Malformed::FixedLength);
    }

    #[test]
    fn unknown_bodies_and_noise_are_refused() {
        assert_eq!(Message::decode(Bytes::new()), Err(Malformed::UnknownBody));
        let field_twelve = Bytes::from_static(&[0x62, 0x00]);
        assert_eq!(Message::decode(field_twelve), Err(Malformed::UnknownBody));
        let noise = Bytes::from_static(&[0xff; 9]);
        assert_eq!(Message::decode(noise), Err(Malformed::Encoding));
    }
}
