//! The initiator I: the side that dials.

use super::error::{HandshakeError, LocalError, PeerMisbehaved};
use super::hello::Hello;
use super::hello_reply::HelloReply;
use super::key_return::KeyReturn;
use super::message::Message;
use super::proof::{self, Proof, Role};
use super::schedule::{SessionKeys, SpaceSecrets};
use super::transcript::Transcript;
use super::{Established, Peer};
use crate::circle::CircleId;
use crate::error::KeyError;
use crate::identity::Identity;
use crate::peer_id::PeerId;
use crate::secret::Secret;
use crate::session_key::{MODULUS_BYTES, SessionKeyPair, SessionPublicKey};
use rand_core::CryptoRng;
use std::sync::Arc;

/// The identity under which the initiator dials.
#[derive(Debug, Clone)]
pub enum Credential {
    /// Presents this identity's certificate.
    Identity(Arc<Identity>),
    /// Presents no certificate: for mailbox deposits and lines only.
    Anonymous,
}

/// The parameters of one dial.
#[derive(Debug, Clone)]
pub struct Call {
    /// The circle of both peers.
    pub circle: CircleId,
    /// The peer id that the responder must prove.
    pub responder: PeerId,
    /// The initiator's identity.
    pub credential: Credential,
}

/// The initiator in the state `State`.
#[derive(Debug)]
pub struct Initiator<State> {
    call: Call,
    transcript: Transcript,
    state: State,
}

/// The state of waiting for message 2.
#[derive(Debug)]
pub struct AwaitReply {
    key: SessionKeyPair,
}

/// The state of waiting for message 4.
#[derive(Debug)]
pub struct AwaitResponderProof {
    keys: SessionKeys,
    peer_transport: Vec<u8>,
}

impl Initiator<AwaitReply> {
    /// Creates message 1. `key` must not have served an established session; `transport` is sent to
    /// the responder unchanged.
    pub fn start(
        call: Call,
        key: SessionKeyPair,
        transport: &[u8],
        rng: &mut dyn CryptoRng,
    ) -> Result<(Message, Self), LocalError> {
        let hello = Hello::fresh(key.public(), transport, rng)?.encode();
        let transcript = Transcript::new(&call.circle, &call.responder).with(&hello);
        let state = AwaitReply { key };
        Ok((
            hello,
            Self {
                call,
                transcript,
                state,
            },
        ))
    }

    /// Returns the key pair of an unanswered dial. The same initiator may use it for another dial
    /// to the same responder, as no session was established with it. With any other responder it
    /// would link the two dials.
    pub fn into_unused_key(self) -> SessionKeyPair {
        self.state.key
    }

    /// Processes message 2. Returns message 3 and the Handshake secrets, and drops the session key
    /// pair. Costs one RSA-2048 private operation.
    pub fn hello_reply(
        self,
        message: &Message,
        rng: &mut dyn CryptoRng,
    ) -> Result<(Message, SpaceSecrets, Initiator<AwaitResponderProof>), HandshakeError> {
        let reply = HelloReply::parse(message)?;
        let key = self.state.key;
        if reply.key == *key.public() {
            return Err(PeerMisbehaved::OwnKeyReflected.into());
        }
        let unwrap_label = HelloReply::wrap_label(self.transcript.hash());
        let transcript = self.transcript.with(message);

        let of_initiator = Secret::random(rng);
        let wrap_label = KeyReturn::wrap_label(transcript.hash());
        let wrapped = wrap(&reply.key, rng, &wrap_label, &of_initiator)?;
        let of_responder = unwrap(&key, rng, &unwrap_label, &reply.wrapped)?;

        let key_return = KeyReturn { wrapped }.encode();
        let transcript = transcript.with(&key_return);
        let keys = SessionKeys {
            of_initiator,
            of_responder,
        };
        let secrets = keys.handshake(transcript.hash());
        let state = AwaitResponderProof {
            keys,
            peer_transport: reply.transport,
        };
        let next = Initiator {
            call: self.call,
            transcript,
            state,
        };
        Ok((key_return, secrets, next))
    }
}

impl Initiator<AwaitResponderProof> {
    /// Processes message 4. Returns message 5 and the established session. The initiator reveals
    /// its identity only after the responder has proved to be the dialled peer. Costs one RSA-4096
    /// private operation, or none for an anonymous initiator.
    pub fn proof(
        self,
        message: &Message,
        rng: &mut dyn CryptoRng,
    ) -> Result<(Message, Established), HandshakeError> {
        let peer = self.check_responder(message)?;
        let transcript = self.transcript.with(message);
        let proof = match &self.call.credential {
            Credential::Anonymous => Proof::Anonymous,
            Credential::Identity(identity) => {
                Proof::sign(Role::Initiator, transcript.hash(), identity, rng)?
            }
        };
        let proof = proof.encode(Role::Initiator);
        let (secrets, exporter) = self.state.keys.data(transcript.with(&proof).hash());
        let established = Established {
            peer,
            peer_transport: self.state.peer_transport,
            secrets,
            exporter,
        };
        Ok((proof, established))
    }

    fn check_responder(&self, message: &Message) -> Result<Peer, HandshakeError> {
        let Proof::Signed { spki, signature } = Proof::parse(Role::Responder, message)? else {
            return Err(PeerMisbehaved::AnonymousResponder.into());
        };
        let id = PeerId::of(&self.call.circle, &spki);
        if id != self.call.responder {
            return Err(HandshakeError::WrongPeer); // docs/spec/handshake.md#4-and-5-proof
        }
        let transcript = self.transcript.hash();
        let certificate = proof::verify(Role::Responder, transcript, &spki, signature.as_slice())?;
        Ok(Peer::Identified { id, certificate })
    }
}

pub(super) fn wrap(
    key: &SessionPublicKey,
    rng: &mut dyn CryptoRng,
    label: &[u8],
    secret: &Secret<16>,
) -> Result<[u8; MODULUS_BYTES], HandshakeError> {
    // Encryption can fail only because of the peer's key.
    key.wrap(rng, label, secret.expose())
        .and_then(|wrapped| wrapped.try_into().map_err(|_| KeyError::Library))
        .map_err(|_| PeerMisbehaved::BadKey.into())
}

pub(super) fn unwrap(
    key: &SessionKeyPair,
    rng: &mut dyn CryptoRng,
    label: &[u8],
    wrapped: &[u8],
) -> Result<Secret<16>, HandshakeError> {
    key.unwrap(rng, label, wrapped)
        .ok()
        .and_then(|secret| Secret::from_slice(&secret))
        .ok_or_else(|| PeerMisbehaved::Decrypt.into())
}
