//! The responder R: the side that accepts.

use super::error::{HandshakeError, LocalError, PeerMisbehaved};
use super::hello::{Hello, MAX_TRANSPORT, random};
use super::hello_reply::HelloReply;
use super::key_return::KeyReturn;
use super::message::Message;
use super::proof::{self, Proof, Role};
use super::schedule::{SessionKeys, SpaceSecrets};
use super::share::{SessionKey, SideSecrets};
use super::suite::Suite;
use super::transcript::Transcript;
use super::{Established, Peer};
use crate::circle::CircleId;
use crate::identity::Identity;
use crate::peer_id::PeerId;
use crate::session_key::SessionKeyPair;
use rand_core::CryptoRng;
use std::sync::Arc;

/// The responder in the state `State`.
#[derive(Debug)]
pub struct Responder<State> {
    circle: CircleId,
    identity: Arc<Identity>,
    transcript: Transcript,
    state: State,
}

/// The state of waiting for message 1.
#[derive(Debug)]
pub struct AwaitHello {
    key: SessionKeyPair,
    transport: Vec<u8>,
}

/// The state of waiting for message 3.
#[derive(Debug)]
pub struct AwaitKeyReturn {
    suite: Suite,
    key: SessionKey,
    of_responder: SideSecrets,
    peer_transport: Vec<u8>,
}

/// The state of waiting for message 5.
#[derive(Debug)]
pub struct AwaitInitiatorProof {
    suite: Suite,
    keys: SessionKeys,
    peer_transport: Vec<u8>,
}

impl Responder<AwaitHello> {
    /// Creates a responder. `key` must not have served another session; `transport` is sent to the
    /// initiator unchanged.
    pub fn new(
        circle: CircleId,
        identity: Arc<Identity>,
        key: SessionKeyPair,
        transport: &[u8],
    ) -> Result<Self, LocalError> {
        let id = identity.peer_id(&circle);
        Self::impersonating(id, circle, identity, key, transport)
    }

    /// For tests: like [`Self::new`], but claims to be `id`, as an impostor would.
    #[doc(hidden)]
    pub fn impersonating(
        id: PeerId,
        circle: CircleId,
        identity: Arc<Identity>,
        key: SessionKeyPair,
        transport: &[u8],
    ) -> Result<Self, LocalError> {
        if transport.len() > MAX_TRANSPORT {
            return Err(LocalError::TransportParameters);
        }
        let transcript = Transcript::new(&circle, &id);
        let transport = transport.to_vec();
        let state = AwaitHello { key, transport };
        Ok(Self {
            circle,
            identity,
            transcript,
            state,
        })
    }

    /// Returns the key pair of an attempt whose message 1 did not arrive. No peer has seen it.
    pub fn into_unused_key(self) -> SessionKeyPair {
        self.state.key
    }

    /// Processes message 1. Returns message 2. Generates the ML-KEM half of the session key, and costs
    /// public-key operations otherwise.
    pub fn hello(
        self,
        message: &Message,
        rng: &mut dyn CryptoRng,
    ) -> Result<(Message, Responder<AwaitKeyReturn>), HandshakeError> {
        let hello = Hello::parse(message)?;
        let AwaitHello { key, transport } = self.state;
        let key = SessionKey::new(key, rng)?;
        if hello.share.reflects(key.share()) {
            return Err(PeerMisbehaved::OwnKeyReflected.into());
        }
        let transcript = self.transcript.with(message);
        let random = random(rng);
        let wrap_label = HelloReply::wrap_label(transcript.hash());
        let (of_responder, wrapped) = hello.share.wrap(rng, &wrap_label)?;
        let reply = HelloReply {
            suite: hello.suite,
            random,
            share: key.share().clone(),
            wrapped,
            transport,
        }
        .encode();
        let peer_transport = hello.transport;
        let next = Responder {
            circle: self.circle,
            identity: self.identity,
            transcript: transcript.with(&reply),
            state: AwaitKeyReturn {
                suite: hello.suite,
                key,
                of_responder,
                peer_transport,
            },
        };
        Ok((reply, next))
    }
}

impl Responder<AwaitKeyReturn> {
    /// Returns the initiator's transport parameters, which message 5 has yet to authenticate.
    pub fn peer_transport(&self) -> &[u8] {
        &self.state.peer_transport
    }

    /// Processes message 3. Returns the Handshake secrets and message 4, which is sent under them,
    /// and drops the session key pair. Costs one RSA-2048 and one RSA-4096 private operation.
    pub fn key_return(
        self,
        message: &Message,
        rng: &mut dyn CryptoRng,
    ) -> Result<(SpaceSecrets, Message, Responder<AwaitInitiatorProof>), HandshakeError> {
        let key_return = KeyReturn::parse(message)?;
        let AwaitKeyReturn {
            suite,
            key,
            of_responder,
            peer_transport,
        } = self.state;
        let unwrap_label = KeyReturn::wrap_label(self.transcript.hash());
        let of_initiator = key.open(rng, &unwrap_label, &key_return.wrapped)?;

        let transcript = self.transcript.with(message);
        let keys = SessionKeys {
            of_initiator,
            of_responder,
        };
        let secrets = keys.handshake(transcript.hash());
        let proof = Proof::sign(Role::Responder, transcript.hash(), &self.identity, rng)?
            .encode(Role::Responder);
        let next = Responder {
            circle: self.circle,
            identity: self.identity,
            transcript: transcript.with(&proof),
            state: AwaitInitiatorProof {
                suite,
                keys,
                peer_transport,
            },
        };
        Ok((secrets, proof, next))
    }
}

impl Responder<AwaitInitiatorProof> {
    /// Processes message 5. Returns the established session. Costs public-key operations only.
    pub fn proof(self, message: &Message) -> Result<Established, HandshakeError> {
        let peer = match Proof::parse(Role::Initiator, message)? {
            Proof::Anonymous => Peer::Anonymous,
            Proof::Signed { spki, signature } => {
                self.check_initiator(&spki, signature.as_slice())?
            }
        };
        let (secrets, exporter) = self.state.keys.data(self.transcript.with(message).hash());
        Ok(Established {
            peer,
            suite: self.state.suite,
            peer_transport: self.state.peer_transport,
            secrets,
            exporter,
        })
    }

    fn check_initiator(&self, spki: &[u8], signature: &[u8]) -> Result<Peer, HandshakeError> {
        if spki == self.identity.certificate().spki_der() {
            return Err(PeerMisbehaved::OwnKeyReflected.into());
        }
        let transcript = self.transcript.hash();
        let certificate = proof::verify(Role::Initiator, transcript, spki, signature)?;
        let id = certificate.peer_id(&self.circle);
        Ok(Peer::Identified { id, certificate })
    }
}
