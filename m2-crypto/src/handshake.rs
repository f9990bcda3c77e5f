//! The session handshake: the seed's key exchange in both directions, authenticated with the
//! user certificates (spec §3). Bytes: `docs/spec/handshake.md`.
//!
//! | # | space | message | initiator I | responder R |
//! | --- | --- | --- | --- | --- |
//! | 1 | Initial | [`hello`] | [`Initiator::start`] | [`Responder::hello`] |
//! | 2 | Initial | [`hello_reply`] | [`Initiator::hello_reply`] | made by the call above |
//! | 3 | Initial | [`key_return`] | made by the call above | [`Responder::key_return`] |
//! | 4 | Handshake | [`proof`] of R | [`Initiator::proof`] | made by the call above |
//! | 5 | Handshake | [`proof`] of I | made by the call above | [`Responder::proof`] |
//!
//! Each call consumes the state before it, so an illegal order does not compile, and a session
//! key pair is gone after its one use. Handshake keys exist after message 3, data keys after
//! message 5, on both sides. Nothing here does IO: bytes come in through [`MessageReader`], and
//! the caller carries the returned messages in the space that the table names.
//!
//! ```compile_fail,E0599
//! use m2_crypto::handshake::{AwaitReply, Initiator, Message};
//! fn skip(i: Initiator<AwaitReply>, proof: &Message, rng: &mut dyn rand_core::CryptoRng) {
//!     let _ = i.proof(proof, rng); // Not before the reply.
//! }
//! ```
//!
//! The machine authenticates what the certificates sign. That an anonymous initiator's last
//! message is its own, and that both ends hold the same keys, is proven by the packet
//! protection that carries the messages: use it with nothing weaker.

mod error;
pub mod hello;
pub mod hello_reply;
mod initiator;
pub mod key_return;
mod message;
pub mod proof;
mod responder;
pub mod schedule;
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

/// Who is at the other end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Peer {
    /// An initiator that showed no certificate. It may only deposit into mailboxes and use
    /// lines (spec §3).
    Anonymous,
    /// A peer that proved its identity.
    Identified {
        /// Its id in this circle.
        id: PeerId,
        /// The certificate behind the id.
        certificate: Certificate,
    },
}

impl Peer {
    /// The peer's id, if it has shown one.
    pub const fn id(&self) -> Option<&PeerId> {
        match self {
            Self::Anonymous => None,
            Self::Identified { id, .. } => Some(id),
        }
    }
}

/// What a finished handshake leaves.
#[derive(Debug)]
pub struct Established {
    /// Who is at the other end.
    pub peer: Peer,
    /// The peer's transport parameters, as it sent them, authenticated by the transcript.
    pub peer_transport: Vec<u8>,
    /// The secrets of the data (1-RTT) space, by sender.
    pub secrets: SpaceSecrets,
    /// Derives further secrets that belong to this session.
    pub exporter: Exporter,
}
