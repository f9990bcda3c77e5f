//! The calling side, I.

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

/// As whom to call.
#[derive(Debug, Clone)]
pub enum Credential {
    /// As this identity.
    Identity(Arc<Identity>),
    /// As nobody: for mailbox deposits and lines only (spec §3).
    Anonymous,
}

/// Whom to call, where, and as whom.
#[derive(Debug, Clone)]
pub struct Call {
    /// The circle that both live in.
    pub circle: CircleId,
    /// The peer id that must answer.
    pub responder: PeerId,
    /// As whom.
    pub credential: Credential,
}

/// The initiator, waiting for what `State` says.
#[derive(Debug)]
pub struct Initiator<State> {
    call: Call,
    transcript: Transcript,
    state: State,
}

/// Waiting for message 2.
#[derive(Debug)]
pub struct AwaitReply {
    key: SessionKeyPair,
}

/// Waiting for message 4.
#[derive(Debug)]
pub struct AwaitResponderProof {
    keys: SessionKeys,
    peer_transport: Vec<u8>,
}

impl Initiator<AwaitReply> {
    /// Makes message 1. `key` is fresh and used for this session alone; `transport` goes to
    /// the responder as it is.
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

    /// The key pair of a call that got no answer. Another call of the same caller to the same
    /// responder may take it, as no session came of it; to anybody else it would tell that both
    /// were one caller's.
    pub fn abandon(self) -> SessionKeyPair {
        self.state.key
    }

    /// Reads message 2; makes message 3 and the Handshake secrets. The session key pair ends
    /// here. One RSA-2048 private operation.
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
    /// Reads message 4; makes message 5 and everything of the session. Says who it is only
    /// after the responder proved to be who was called. One RSA-4096 private operation, none
    /// for an anonymous caller.
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
            return Err(HandshakeError::WrongPeer); // spec §3
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
    // Whether a key can be encrypted to depends on the peer's key alone.
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
