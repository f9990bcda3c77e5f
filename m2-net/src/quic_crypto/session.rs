//! Implements quinn's `crypto::Session` on top of the handshake state machine.
//!
//! quinn sends the bytes that `write_handshake` returns in the space *before* the keys returned
//! with them, and asks again after new keys. The queue of flights serves this order.

use super::failure::transport_error;
use super::{CryptoContext, packet_keys};
use crate::sent::Sent;
use m2_crypto::handshake::{
    AwaitHello, AwaitInitiatorProof, AwaitKeyReturn, AwaitReply, AwaitResponderProof, Call,
    Established, Exporter, HandshakeError, Initiator, LocalError, Message, MessageReader, Peer,
    PeerMisbehaved, Responder, SpaceSecrets,
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
    /// Counts the datagrams sent until the peer has proved its id.
    sent: Option<Arc<Sent>>,
}

/// A callback that takes the key pair of an unanswered dial.
pub type Unanswered = Arc<dyn Fn(SessionKeyPair) + Send + Sync>;
/// A callback that is notified when a dial is answered.
pub type Answered = Arc<dyn Fn() + Send + Sync>;

/// The callbacks for the outcome of a dial.
#[derive(Clone)]
pub struct Outcome {
    /// Called on an answer, before it is processed.
    pub answered: Answered,
    /// Called with the key if no answer comes.
    pub unanswered: Unanswered,
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

/// The state of a completed handshake.
struct Data {
    peer: Peer,
    exporter: Exporter,
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
            sent: None,
        }
    }

    /// Counts in `sent` the datagrams sent before the peer's proof.
    pub(super) fn count_in(&mut self, sent: Option<Arc<Sent>>) {
        self.sent = sent;
    }

    fn counted(&self, keys: Keys) -> Keys {
        match &self.sent {
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
                self.establish(Vec::new(), established);
                Ok(())
            }
            State::Nothing => Err(PeerMisbehaved::UnexpectedMessage.into()),
            State::Unready(reason) => Err(reason.into()),
        }
    }

    /// Runs under the endpoint's lock: public-key operations only.
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
            exporter: established.exporter,
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

impl Drop for HandshakeSession {
    fn drop(&mut self) {
        let state = std::mem::replace(&mut self.state, State::Nothing);
        if let (State::Reply(machine), Some(outcome)) = (state, &self.outcome) {
            (outcome.unanswered)(machine.into_unused_key());
        }
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

    fn handshake_data(&self) -> Option<Box<dyn Any>> {
        self.peer_identity()
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
            self.state = State::Nothing;
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
mod tests {
    use super::*;
    use crate::quic_crypto::{OffLoad, code};
    use bytes::BytesMut;
    use m2_crypto::handshake::Credential;
    use m2_crypto::{Circle, provider};
    use quinn_proto::TransportErrorCode;

    fn identity() -> Arc<Identity> {
        let pem = include_str!("../../../tests/vectors/identities/bob.pem");
        Arc::new(Identity::from_pem(pem, None, provider::default()).unwrap())
    }

    fn key() -> SessionKeyPair {
        SessionKeyPair::generate(&mut rng(), provider::default()).unwrap()
    }

    fn pair() -> (HandshakeSession, HandshakeSession) {
        let circle = *Circle::public().id();
        let context = CryptoContext::new(circle, provider::default(), Arc::new(|| 20_000));
        let context = Arc::new(context.off_load(OffLoad::Inline));
        let responder = identity().peer_id(&circle);
        let call = Call {
            circle,
            responder,
            credential: Credential::Anonymous,
        };
        let params = TransportParameters::read(Side::Client, &mut [].as_slice()).unwrap();
        let i = HandshakeSession::dial(context.clone(), call, key(), &params, None).unwrap();
        let r = HandshakeSession::answer(context, responder, identity(), Some(key()), &params);
        (i, r)
    }

    fn write(session: &mut HandshakeSession) -> (Vec<u8>, Option<Keys>) {
        let mut bytes = Vec::new();
        let keys = session.write_handshake(&mut bytes);
        (bytes, keys)
    }

    /// Returns whether a packet sealed by `from` opens at `to`.
    fn fit(from: &KeyPair<Box<dyn PacketKey>>, to: &KeyPair<Box<dyn PacketKey>>) -> bool {
        let mut packet = b"head payload and room for tag...".to_vec();
        from.local.encrypt(7, &mut packet, 4);
        let mut sealed = BytesMut::from(&packet[4..]);
        to.remote.decrypt(7, b"head", &mut sealed).is_ok() && &sealed[..] == b" payload and"
    }

    #[test]
    fn flights_come_in_the_order_that_quinn_needs() {
        let (mut i, mut r) = pair();
        let (hello, keys) = write(&mut i);
        assert!(keys.is_none() && write(&mut i).0.is_empty());
        assert!(!r.read_handshake(&hello).unwrap());
        let (reply, keys) = write(&mut r);
        assert!(keys.is_none() && r.transport_parameters().unwrap().is_some());
        assert!(!i.read_handshake(&reply).unwrap());
        let (key_return, i_keys) = write(&mut i);
        assert!(!r.read_handshake(&key_return).unwrap());
        let (nothing, r_keys) = write(&mut r);
        assert!(nothing.is_empty(), "else it would go to the Initial space");
        assert!(fit(&i_keys.unwrap().packet, &r_keys.unwrap().packet));
        let (proof, keys) = write(&mut r);
        assert!(
            keys.is_none() && r.is_handshaking(),
            "no data keys before message 5"
        );
        assert!(i.read_handshake(&proof).unwrap() && !i.is_handshaking());
        let (proof, i_keys) = write(&mut i);
        assert!(r.read_handshake(&proof).unwrap() && !r.is_handshaking());
        let (nothing, r_keys) = write(&mut r);
        assert!(nothing.is_empty());
        let (mut i_keys, mut r_keys) = (i_keys.unwrap().packet, r_keys.unwrap().packet);
        for _ in 0..4 {
            assert!(fit(&i_keys, &r_keys) && fit(&r_keys, &i_keys));
            assert!(!fit(&i_keys, &i_keys), "each direction has its own key");
            let old = std::mem::replace(&mut i_keys, i.next_1rtt_keys().unwrap());
            r_keys = r.next_1rtt_keys().unwrap();
            assert!(!fit(&old, &r_keys), "an update changes the keys");
        }
        assert!(
            i.read_handshake(&proof).is_err(),
            "nothing comes after the end"
        );
    }

    #[test]
    fn refusals_reveal_only_the_code() {
        let (mut i, mut r) = pair();
        let (hello, _) = write(&mut i);
        let failed = TransportErrorCode::crypto(code::FAILED);
        assert_eq!(i.read_handshake(&hello).unwrap_err().code, failed);
        let error = r.read_handshake(&[&hello[..], &[0]].concat()).unwrap_err();
        assert_eq!((error.code, error.reason.as_str()), (failed, ""));
        assert!(
            r.read_handshake(&hello).is_err(),
            "a failed session stays failed"
        );
        assert!(r.peer_identity().is_none() && r.next_1rtt_keys().is_none());
    }

    #[test]
    fn an_answer_to_an_unsent_message_is_refused() {
        let (mut i, mut r) = pair();
        let (hello, _) = write(&mut i);
        r.read_handshake(&hello).unwrap();
        assert!(r.read_handshake(&[3, 0, 0]).is_err());
    }

    /// Initial keys are known to all parties that know the peer id: a proof that comes under them,
    /// in the same packet as message 3, must not count.
    #[test]
    fn a_proof_under_the_initial_keys_is_refused() {
        let (mut i, mut r) = pair();
        r.read_handshake(&write(&mut i).0).unwrap();
        i.read_handshake(&write(&mut r).0).unwrap();
        r.read_handshake(&write(&mut i).0).unwrap();
        assert!(r.read_handshake(&[5, 0, 1, 0]).is_err());
        assert!(r.is_handshaking() && r.peer_identity().is_none());
    }
}
