//! The initiator I: the side that dials.

use super::error::{HandshakeError, LocalError, PeerMisbehaved};
use super::hello::Hello;
use super::hello_reply::HelloReply;
use super::key_return::KeyReturn;
use super::message::Message;
use super::proof::{self, Proof, Role};
use super::schedule::{SessionKeys, SpaceSecrets};
use super::share::SessionKey;
use super::suite::Suite;
use super::transcript::Transcript;
use super::{Established, Peer};
use crate::circle::CircleId;
use crate::identity::Identity;
use crate::peer_id::PeerId;
use crate::session_key::SessionKeyPair;
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
    key: SessionKey,
}

/// The state of waiting for message 4.
#[derive(Debug)]
pub struct AwaitResponderProof {
    suite: Suite,
    keys: SessionKeys,
    peer_transport: Vec<u8>,
}

impl Initiator<AwaitReply> {
    /// Creates message 1. `key` must not have served an established session; its ML-KEM half is
    /// generated here. `transport` is sent to the responder unchanged.
    pub fn start(
        call: Call,
        key: SessionKeyPair,
        transport: &[u8],
        rng: &mut dyn CryptoRng,
    ) -> Result<(Message, Self), LocalError> {
        let key = SessionKey::new(key, rng)?;
        let hello = Hello::fresh(key.share(), transport, rng)?.encode();
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

    /// Returns the RSA key pair of an unanswered dial. The same initiator may use it for another dial
    /// to the same responder, as no session was established with it. With any other responder it
    /// would link the two dials.
    pub fn into_unused_key(self) -> SessionKeyPair {
        self.state.key.into_rsa_half()
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
        if reply.share.reflects(key.share()) {
            return Err(PeerMisbehaved::OwnKeyReflected.into());
        }
        let unwrap_label = HelloReply::wrap_label(self.transcript.hash());
        let transcript = self.transcript.with(message);

        let wrap_label = KeyReturn::wrap_label(transcript.hash());
        let (of_initiator, wrapped) = reply.share.wrap(rng, &wrap_label)?;
        let of_responder = key.open(rng, &unwrap_label, &reply.wrapped)?;

        let key_return = KeyReturn { wrapped }.encode();
        let transcript = transcript.with(&key_return);
        let keys = SessionKeys {
            of_initiator,
            of_responder,
        };
        let secrets = keys.handshake(transcript.hash());
        let state = AwaitResponderProof {
            suite: reply.suite,
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
            suite: self.state.suite,
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
