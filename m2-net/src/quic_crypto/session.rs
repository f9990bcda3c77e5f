//! Implements quinn's `crypto::Session` on top of the handshake state machine.
//!
//! quinn sends the bytes that `write_handshake` returns in the space *before* the keys returned
//! with them, and asks again after new keys. The queue of flights serves this order.

use super::exporter::SharedExporter;
use super::failure::transport_error;
use super::{CryptoContext, packet_keys};
use crate::dialled::Lease;
use crate::sent::Sent;
use m2_crypto::handshake::{
    AwaitHello, AwaitInitiatorProof, AwaitKeyReturn, AwaitReply, AwaitResponderProof, Call,
    Established, HandshakeError, Initiator, LocalError, Message, MessageReader, Peer,
    PeerMisbehaved, Responder, SpaceSecrets, Suite,
};
use m2_crypto::initial::verify_retry_tag;
use m2_crypto::packet::TAG_LEN;
use m2_crypto::session_key::SessionKeyPair;
use m2_crypto::{Identity, PeerId};
use quinn_proto::crypto::{
    ExportKeyingMaterialError, HeaderKey, KeyPair, Keys, PacketKey, Session,
};
use quinn_proto::transport_parameters::TransportParameters;
use quinn_proto::{ConnectionId, Side, TransportError};
use rand_core::UnwrapErr;
use std::any::Any;
use std::collections::VecDeque;
use std::sync::Arc;

/// One side of one session.
pub(super) struct HandshakeSession {
    context: Arc<CryptoContext>,
    side: Side,
    responder: PeerId,
    reader: MessageReader,
    state: State,
    /// At most two.
    flights: VecDeque<Flight>,
    peer_transport: Option<Vec<u8>>,
    data: Option<Data>,
    outcome: Option<Outcome>,
    /// Takes the key of an accepting side that never read a Hello.
    unread: Option<Unused>,
    attachments: Attachments,
}

/// What a dialled connection holds as long as QUIC knows it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Attachments {
    /// Counts the datagrams sent until the peer has proved its id.
    pub(crate) sent: Option<Arc<Sent>>,
    /// Assigns the key of the dialled peer to the datagrams of the connection.
    pub(crate) _lease: Option<Lease>,
}

/// A callback that takes the RSA half of a session key that no session has used.
pub type Unused = Arc<dyn Fn(SessionKeyPair) + Send + Sync>;
/// A callback that is notified when a dial is answered.
pub type Answered = Arc<dyn Fn() + Send + Sync>;

/// The callbacks for the outcome of a dial.
#[derive(Clone)]
pub struct Outcome {
    /// Called on an answer, before it is processed.
    pub answered: Answered,
    /// Called with the key if no answer comes.
    pub unanswered: Unused,
}

/// The message that the state machine waits for.
enum State {
    Reply(Initiator<AwaitReply>),
    ResponderProof(Initiator<AwaitResponderProof>),
    Hello(Responder<AwaitHello>),
    KeyReturn(Responder<AwaitKeyReturn>),
    InitiatorProof(Responder<AwaitInitiatorProof>),
    Nothing,
    Unready(LocalError),
}

/// Bytes for the current space, then the keys of the next.
#[derive(Default)]
struct Flight {
    bytes: Vec<u8>,
    keys: Option<Keys>,
}

/// What a completed handshake yields, in addition to the peer.
#[derive(Debug, Clone)]
pub struct Negotiated {
    /// The suite.
    pub suite: Suite,
    /// The exporter.
    pub(crate) exporter: SharedExporter,
}

/// The state of a completed handshake.
struct Data {
    peer: Peer,
    suite: Suite,
    exporter: SharedExporter,
    /// The secrets of the next key update.
    next: SpaceSecrets,
}

impl HandshakeSession {
    pub(super) fn dial(
        context: Arc<CryptoContext>,
        call: Call,
        key: SessionKeyPair,
        params: &TransportParameters,
        outcome: Option<Outcome>,
    ) -> Result<Self, LocalError> {
        let responder = call.responder;
        let (hello, machine) = Initiator::start(call, key, &encode(params), &mut rng())?;
        let mut session = Self::new(context, Side::Client, responder, State::Reply(machine));
        session.send(&hello);
        session.outcome = outcome;
        Ok(session)
    }

    /// Creates the accepting side. Without a key the error is reported on the first message: quinn
    /// has no earlier point for it.
    pub(super) fn answer(
        context: Arc<CryptoContext>,
        responder: PeerId,
        identity: Arc<Identity>,
        key: Option<SessionKeyPair>,
        params: &TransportParameters,
    ) -> Self {
        let circle = context.circle;
        let machine = key.ok_or(LocalError::NoSessionKey).and_then(|key| {
            Responder::impersonating(responder, circle, identity, key, &encode(params))
        });
        let state = machine.map_or_else(State::Unready, State::Hello);
        Self::new(context, Side::Server, responder, state)
    }

    fn new(context: Arc<CryptoContext>, side: Side, responder: PeerId, state: State) -> Self {
        Self {
            context,
            side,
            responder,
            reader: MessageReader::new(),
            state,
            flights: VecDeque::new(),
            peer_transport: None,
            data: None,
            outcome: None,
            unread: None,
            attachments: Attachments::default(),
        }
    }

    /// Passes the session key to `unread` if no whole Hello arrives.
    pub(super) fn return_unread(&mut self, unread: Option<Unused>) {
        self.unread = unread;
    }

    /// Counts in `sent` the datagrams sent before the peer's proof.
    pub(super) fn attach(&mut self, attachments: Attachments) {
        self.attachments = attachments;
    }

    fn counted(&self, keys: Keys) -> Keys {
        match &self.attachments.sent {
            Some(sent) => packet_keys::counted(keys, sent),
            None => keys,
        }
    }

    fn read(&mut self, bytes: &[u8]) -> Result<bool, HandshakeError> {
        let Some(message) = self.reader.push(bytes)? else {
            return Ok(false);
        };
        if !self.flights.is_empty() {
            // The peer can't have seen the message that it answers.
            return Err(PeerMisbehaved::UnexpectedMessage.into());
        }
        self.step(&message)?;
        Ok(self.data.is_some())
    }

    /// Handles one message, in the order of docs/spec/handshake.md. A failed step leaves `Nothing`.
    fn step(&mut self, message: &Message) -> Result<(), HandshakeError> {
        match std::mem::replace(&mut self.state, State::Nothing) {
            State::Hello(machine) => self.on_hello(machine, message),
            State::Reply(machine) => self.on_reply(machine, message),
            State::KeyReturn(machine) => self.on_key_return(machine, message),
            State::ResponderProof(machine) => self.on_responder_proof(machine, message),
            State::InitiatorProof(machine) => {
                let established = machine.proof(message)?;
                self.context.check_suite(&established)?;
                self.establish(Vec::new(), established);
                Ok(())
            }
            State::Nothing => Err(PeerMisbehaved::UnexpectedMessage.into()),
            State::Unready(reason) => Err(reason.into()),
        }
    }

    /// Runs under the endpoint's lock: public-key operations, and the generation of an ML-KEM key.
    fn on_hello(
        &mut self,
        machine: Responder<AwaitHello>,
        message: &Message,
    ) -> Result<(), HandshakeError> {
        let (reply, next) = machine.hello(message, &mut rng())?;
        self.peer_transport = Some(next.peer_transport().to_vec());
        self.send(&reply);
        self.state = State::KeyReturn(next);
        Ok(())
    }

    fn on_reply(
        &mut self,
        machine: Initiator<AwaitReply>,
        message: &Message,
    ) -> Result<(), HandshakeError> {
        if let Some(outcome) = &self.outcome {
            (outcome.answered)();
        }
        let off_load = self.context.off_load;
        let (key_return, secrets, next) =
            off_load.run(|| machine.hello_reply(message, &mut rng()))?;
        self.flights.push_back(Flight {
            bytes: key_return.bytes().to_vec(),
            keys: Some(self.counted(self.keys(&secrets))),
        });
        self.state = State::ResponderProof(next);
        Ok(())
    }

    fn on_key_return(
        &mut self,
        machine: Responder<AwaitKeyReturn>,
        message: &Message,
    ) -> Result<(), HandshakeError> {
        let off_load = self.context.off_load;
        let (secrets, proof, next) = off_load.run(|| machine.key_return(message, &mut rng()))?;
        self.flights.push_back(Flight {
            bytes: Vec::new(),
            keys: Some(self.keys(&secrets)),
        });
        self.send(&proof);
        self.state = State::InitiatorProof(next);
        Ok(())
    }

    fn on_responder_proof(
        &mut self,
        machine: Initiator<AwaitResponderProof>,
        message: &Message,
    ) -> Result<(), HandshakeError> {
        let off_load = self.context.off_load;
        let (proof, established) = off_load.run(|| machine.proof(message, &mut rng()))?;
        self.context.check_suite(&established)?;
        self.peer_transport = Some(established.peer_transport.clone());
        self.establish(proof.bytes().to_vec(), established);
        Ok(())
    }

    fn establish(&mut self, bytes: Vec<u8>, established: Established) {
        self.flights.push_back(Flight {
            bytes,
            keys: Some(self.keys(&established.secrets)),
        });
        self.data = Some(Data {
            peer: established.peer,
            suite: established.suite,
            exporter: SharedExporter::new(established.exporter),
            next: established.secrets.next(),
        });
    }

    fn send(&mut self, message: &Message) {
        self.flights.push_back(Flight {
            bytes: message.bytes().to_vec(),
            keys: None,
        });
    }

    fn keys(&self, secrets: &SpaceSecrets) -> Keys {
        let of_initiator = secrets.initiator.keys(self.context.provider);
        let of_responder = secrets.responder.keys(self.context.provider);
        match self.side {
            Side::Client => packet_keys::space(of_initiator, of_responder),
            Side::Server => packet_keys::space(of_responder, of_initiator),
        }
    }

    fn observe(&self, error: &HandshakeError) {
        if let Some(observer) = &self.context.observer {
            observer(error);
        }
    }
}

impl HandshakeSession {
    /// Ends the handshake. A session key that no session used is passed on.
    fn end(&mut self) {
        match std::mem::replace(&mut self.state, State::Nothing) {
            State::Reply(machine) => {
                if let Some(outcome) = &self.outcome {
                    (outcome.unanswered)(machine.into_unused_key());
                }
            }
            State::Hello(machine) => {
                if let Some(unread) = &self.unread {
                    unread(machine.into_unused_key());
                }
            }
            _ => {}
        }
    }
}

impl Drop for HandshakeSession {
    fn drop(&mut self) {
        self.end();
    }
}

impl Session for HandshakeSession {
    /// An id with any other day can't reach this point on the accepting side, and the dialling side
    /// generated its id itself or took it from a verified Retry.
    fn initial_keys(&self, dcid: &ConnectionId, side: Side) -> Keys {
        let day = self.context.day_of(dcid);
        let day = day.unwrap_or_else(|| (self.context.today)());
        let keys = self.context.initial_keys(dcid, &self.responder, day, side);
        self.counted(keys)
    }

    /// Returns the [`Negotiated`].
    fn handshake_data(&self) -> Option<Box<dyn Any>> {
        let data = self.data.as_ref()?;
        Some(Box::new(Negotiated {
            suite: data.suite,
            exporter: data.exporter.clone(),
        }))
    }

    fn peer_identity(&self) -> Option<Box<dyn Any>> {
        let peer = self.data.as_ref()?.peer.clone();
        Some(Box::new(peer))
    }

    fn early_crypto(&self) -> Option<(Box<dyn HeaderKey>, Box<dyn PacketKey>)> {
        None
    }

    fn early_data_accepted(&self) -> Option<bool> {
        None
    }

    fn is_handshaking(&self) -> bool {
        self.data.is_none()
    }

    fn read_handshake(&mut self, bytes: &[u8]) -> Result<bool, TransportError> {
        self.read(bytes).map_err(|error| {
            self.end();
            self.observe(&error);
            transport_error(&error)
        })
    }

    fn transport_parameters(&self) -> Result<Option<TransportParameters>, TransportError> {
        let Some(mut bytes) = self.peer_transport.as_deref() else {
            return Ok(None);
        };
        Ok(Some(TransportParameters::read(self.side, &mut bytes)?))
    }

    fn write_handshake(&mut self, out: &mut Vec<u8>) -> Option<Keys> {
        let flight = self.flights.pop_front()?;
        out.extend_from_slice(&flight.bytes);
        flight.keys
    }

    fn next_1rtt_keys(&mut self) -> Option<KeyPair<Box<dyn PacketKey>>> {
        let data = self.data.as_mut()?;
        let of_initiator = data.next.initiator.packet_key(self.context.provider);
        let of_responder = data.next.responder.packet_key(self.context.provider);
        data.next = data.next.next();
        Some(match self.side {
            Side::Client => packet_keys::packets(of_initiator, of_responder),
            Side::Server => packet_keys::packets(of_responder, of_initiator),
        })
    }

    fn is_valid_retry(&self, original_dcid: &ConnectionId, header: &[u8], payload: &[u8]) -> bool {
        let Some((token, tag)) = payload.split_last_chunk::<TAG_LEN>() else {
            return false;
        };
        let packet = [header, token].concat();
        let circle = &self.context.circle;
        verify_retry_tag(circle, &self.responder, original_dcid, &packet, tag)
    }

    fn export_keying_material(
        &self,
        out: &mut [u8],
        label: &[u8],
        context: &[u8],
    ) -> Result<(), ExportKeyingMaterialError> {
        let data = self.data.as_ref().ok_or(ExportKeyingMaterialError)?;
        data.exporter
            .export(out, label, context)
            .map_err(|_| ExportKeyingMaterialError)
    }
}

fn encode(params: &TransportParameters) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(128);
    params.write(&mut bytes);
    bytes
}

/// Returns the system's random number generator. Panics if it fails, because nothing is secure
/// without it.
const fn rng() -> UnwrapErr<getrandom::SysRng> {
    UnwrapErr(getrandom::SysRng)
}

#[cfg(test)]
mod tests;
