//! A handshake whose dialer ignores the limits in the daemon's transport parameters.

use m2_net::quic_crypto::DialCrypto;
use quinn_proto::crypto::{
    ClientConfig, ExportKeyingMaterialError, HeaderKey, KeyPair, Keys, PacketKey, Session,
};
use quinn_proto::transport_parameters::TransportParameters;
use quinn_proto::{ConnectError, ConnectionId, Side, TransportError, VarInt};
use std::any::Any;
use std::sync::Arc;

/// Ids of transport parameters (RFC 9000, section 18.2; RFC 9221, section 3): flow control of the
/// connection and of streams, numbers of streams, the size of datagrams.
const WANTED: [u64; 7] = [0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0x20];
/// The value that a greedy dialer assumes for each.
const PLENTY: u32 = 1 << 16;

/// The cryptography of a dialer, with other limits than the daemon's.
pub struct Greedy(Arc<DialCrypto>);

impl Greedy {
    /// Makes a dialer that assumes more than the daemon allows.
    pub fn new(crypto: Arc<DialCrypto>) -> Arc<Self> {
        Arc::new(Self(crypto))
    }
}

impl ClientConfig for Greedy {
    fn start_session(
        self: Arc<Self>,
        version: u32,
        server_name: &str,
        params: &TransportParameters,
    ) -> Result<Box<dyn Session>, ConnectError> {
        let session = self.0.clone().start_session(version, server_name, params)?;
        Ok(Box::new(GreedySession(session)))
    }
}

struct GreedySession(Box<dyn Session>);

impl Session for GreedySession {
    fn transport_parameters(&self) -> Result<Option<TransportParameters>, TransportError> {
        let said = self.0.transport_parameters()?;
        Ok(said.map(|said| more_than(&said)))
    }

    fn initial_keys(&self, dst_cid: &ConnectionId, side: Side) -> Keys {
        self.0.initial_keys(dst_cid, side)
    }

    fn handshake_data(&self) -> Option<Box<dyn Any>> {
        self.0.handshake_data()
    }

    fn peer_identity(&self) -> Option<Box<dyn Any>> {
        self.0.peer_identity()
    }

    fn early_crypto(&self) -> Option<(Box<dyn HeaderKey>, Box<dyn PacketKey>)> {
        self.0.early_crypto()
    }

    fn early_data_accepted(&self) -> Option<bool> {
        self.0.early_data_accepted()
    }

    fn is_handshaking(&self) -> bool {
        self.0.is_handshaking()
    }

    fn read_handshake(&mut self, buf: &[u8]) -> Result<bool, TransportError> {
        self.0.read_handshake(buf)
    }

    fn write_handshake(&mut self, buf: &mut Vec<u8>) -> Option<Keys> {
        self.0.write_handshake(buf)
    }

    fn next_1rtt_keys(&mut self) -> Option<KeyPair<Box<dyn PacketKey>>> {
        self.0.next_1rtt_keys()
    }

    fn is_valid_retry(&self, orig_dst_cid: &ConnectionId, header: &[u8], payload: &[u8]) -> bool {
        self.0.is_valid_retry(orig_dst_cid, header, payload)
    }

    fn export_keying_material(
        &self,
        output: &mut [u8],
        label: &[u8],
        context: &[u8],
    ) -> Result<(), ExportKeyingMaterialError> {
        self.0.export_keying_material(output, label, context)
    }
}

/// Replaces the limits in the parameters by large ones.
fn more_than(said: &TransportParameters) -> TransportParameters {
    let mut bytes = Vec::new();
    said.write(&mut bytes);
    let mut changed = Vec::new();
    let mut rest = &bytes[..];
    while !rest.is_empty() {
        let (id, length) = (take(&mut rest), take(&mut rest) as usize);
        let (value, after) = rest.split_at(length);
        rest = after;
        if !WANTED.contains(&id) {
            put(&mut changed, id);
            put(&mut changed, length as u64);
            changed.extend_from_slice(value);
        }
    }
    for id in WANTED {
        put(&mut changed, id);
        // The length of `PLENTY` as a variable-length integer.
        put(&mut changed, 4);
        put(&mut changed, PLENTY.into());
    }
    TransportParameters::read(Side::Client, &mut &changed[..]).unwrap()
}

fn put(bytes: &mut Vec<u8>, number: u64) {
    quinn_proto::coding::Codec::encode(&VarInt::from_u64(number).unwrap(), bytes);
}

fn take(bytes: &mut &[u8]) -> u64 {
    let number: VarInt = quinn_proto::coding::Codec::decode(bytes).unwrap();
    number.into_inner()
}
