//! The session handshake: a key exchange in both directions, authenticated with the user
//! certificates (docs/spec/handshake.md).
//!
//! | # | space | message | initiator I | responder R |
//! | --- | --- | --- | --- | --- |
//! | 1 | Initial | [`hello`] | [`Initiator::start`] | [`Responder::hello`] |
//! | 2 | Initial | [`hello_reply`] | [`Initiator::hello_reply`] | returned by the function above |
//! | 3 | Initial | [`key_return`] | returned by the function above | [`Responder::key_return`] |
//! | 4 | Handshake | [`proof`] of R | [`Initiator::proof`] | returned by the function above |
//! | 5 | Handshake | [`proof`] of I | returned by the function above | [`Responder::proof`] |
//!
//! Each function consumes the previous state, so calling them out of order does not compile, and a
//! session key pair is dropped after its single use. Both sides have the Handshake keys after
//! message 3 and the 1-RTT keys after message 5. Nothing here does IO: bytes enter through
//! [`MessageReader`], and the caller sends the returned messages in the packet number space that
//! the table names.
//!
//! ```compile_fail,E0599
//! use m2_crypto::handshake::{AwaitReply, Initiator, Message};
//! fn skip(i: Initiator<AwaitReply>, proof: &Message, rng: &mut dyn rand_core::CryptoRng) {
//!     let _ = i.proof(proof, rng); // Not before the reply.
//! }
//! ```
//!
//! These types authenticate what the certificates sign. Two properties rest on the packet
//! protection that carries the messages, which must not be replaced by a weaker one: that an
//! anonymous initiator's last message comes from that initiator, and that both ends hold the same
//! keys.

mod error;
pub mod hello;
pub mod hello_reply;
mod initiator;
pub mod key_return;
mod message;
pub mod proof;
mod responder;
pub mod schedule;
pub mod share;
mod suite;
pub mod transcript;

pub use error::{HandshakeError, LocalError, PeerMisbehaved};
pub use initiator::{AwaitReply, AwaitResponderProof, Call, Credential, Initiator};
pub use message::{MAX_BODY, Message, MessageKind, MessageReader};
pub use responder::{AwaitHello, AwaitInitiatorProof, AwaitKeyReturn, Responder};
pub use schedule::{ExportTooLong, Exporter, SpaceSecrets, TrafficSecret};
pub use suite::Suite;

use crate::certificate::Certificate;
use crate::peer_id::PeerId;

/// The identity of the other end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Peer {
    /// An initiator that presented no certificate. It may only deposit into mailboxes and use lines
    /// (docs/spec/handshake.md#4-and-5-proof).
    Anonymous,
    /// A peer that proved its identity.
    Identified {
        /// Its peer id in this circle.
        id: PeerId,
        /// The certificate from which the peer id derives.
        certificate: Certificate,
    },
}

impl Peer {
    /// Returns the peer's id, or `None` for an anonymous initiator.
    pub const fn id(&self) -> Option<&PeerId> {
        match self {
            Self::Anonymous => None,
            Self::Identified { id, .. } => Some(id),
        }
    }
}

/// The result of a completed handshake.
#[derive(Debug)]
pub struct Established {
    /// The identity of the other end.
    pub peer: Peer,
    /// The suite of the session.
    pub suite: Suite,
    /// The peer's transport parameters as it sent them, authenticated by the transcript.
    pub peer_transport: Vec<u8>,
    /// The secrets of the data (1-RTT) space, by sender.
    pub secrets: SpaceSecrets,
    /// Derives further secrets bound to this session.
    pub exporter: Exporter,
}
