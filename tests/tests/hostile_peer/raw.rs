//! A dialer that writes bytes instead of frames: QUIC without obfuscation, behind a wire that adds it.

use crate::greedy::Greedy;
use m2_crypto::handshake::Credential;
use m2_crypto::obfuscation::Obfuscator;
use m2_crypto::session_key::SessionKeyPair;
use m2_crypto::{Circle, PeerId, label, provider};
use m2_net::clock::Clock;
use m2_net::quic_crypto::{CryptoContext, DialCrypto};
use m2_tests::harness::{Fate, Wire};
use m2_tests::hostile::identity;
use m2_tests::scenario::PATIENCE;
use quinn::crypto::{ClientConfig, CryptoError, HmacKey};
use quinn::{Connection, ConnectionError, ConnectionId, SendStream};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::time::timeout;

/// A connection whose handshake is complete and on which no frame has been sent.
pub struct Raw {
    connection: Connection,
    stream: SendStream,
    _endpoint: quinn::Endpoint,
    _wire: Wire,
}

impl Raw {
    /// Dials a daemon as carol.
    pub async fn dial(address: SocketAddr, peer: PeerId) -> Self {
        Self::call_by(config(|crypto| crypto), address, peer).await
    }

    /// Dials a daemon as carol, and assumes more than the daemon allows.
    pub async fn dial_greedily(address: SocketAddr, peer: PeerId) -> Self {
        Self::call_by(config(Greedy::new), address, peer).await
    }

    async fn call_by(config: quinn::ClientConfig, address: SocketAddr, peer: PeerId) -> Self {
        let wire = Wire::new().await.unwrap();
        wire.aim(address);
        let obfuscator = Obfuscator::of_responder(&Circle::public(), &peer, provider::default());
        wire.decide(move |_, bytes| {
            let mut changed = bytes.to_vec();
            obfuscator.apply(&mut changed);
            Fate::pass(&changed)
        });
        let endpoint = endpoint();
        let connecting = endpoint.connect_with(config, wire.address(), &peer.to_string());
        let connection = connecting.unwrap().await.unwrap();
        let stream = connection.open_uni().await.unwrap();
        Self {
            connection,
            stream,
            _endpoint: endpoint,
            _wire: wire,
        }
    }

    /// Writes bytes to the frame stream.
    pub async fn write(&mut self, bytes: &[u8]) {
        // The write fails if the daemon has closed the connection. The tests check the reason at the
        // end.
        let _ = self.stream.write_all(bytes).await;
    }

    /// Opens unidirectional streams and writes some bytes to each.
    pub async fn open_streams(&self, count: usize) {
        for _ in 0..count {
            let Ok(mut stream) = self.connection.open_uni().await else {
                return;
            };
            let _ = stream.write_all(&[7; 100]).await;
        }
    }

    /// Opens a bidirectional stream and writes some bytes to it.
    pub async fn open_conversation(&self) {
        if let Ok((mut stream, _)) = self.connection.open_bi().await {
            let _ = stream.write_all(&[7; 100]).await;
        }
    }

    /// Sends a QUIC datagram.
    pub async fn datagram(&self) {
        let sent = self.connection.send_datagram(vec![7; 100].into());
        sent.unwrap();
    }

    /// Waits until the daemon's QUIC closes the connection for a violation.
    pub async fn cut_off(&self) {
        match self.connection.closed().await {
            ConnectionError::ConnectionClosed(_) => {}
            other => panic!("{other}"),
        }
    }

    /// Waits for the end of the session. Returns the code with which the daemon closed it.
    pub async fn ended(&self) -> u64 {
        match timeout(PATIENCE, self.connection.closed()).await {
            Ok(ConnectionError::ApplicationClosed(close)) => close.error_code.into_inner(),
            Ok(other) => panic!("{other}"),
            Err(_) => panic!("the daemon did not end the session"),
        }
    }
}

fn endpoint() -> quinn::Endpoint {
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut config = quinn::EndpointConfig::new(Arc::new(NoResets));
    config
        .supported_versions(vec![m2_crypto::initial::QUIC_VERSION])
        .grease_quic_bit(false);
    quinn::Endpoint::new(config, None, socket, Arc::new(quinn::TokioRuntime)).unwrap()
}

fn config<C: ClientConfig + 'static>(
    change: impl FnOnce(Arc<DialCrypto>) -> Arc<C>,
) -> quinn::ClientConfig {
    let mut rng = rand_core::UnwrapErr(getrandom::SysRng);
    let today = Clock::system().day();
    let context = CryptoContext::new(
        *Circle::public().id(),
        provider::default(),
        Arc::new(move || today),
    );
    let key = SessionKeyPair::generate(&mut rng, provider::default()).unwrap();
    let credential = Credential::Identity(identity("carol").unwrap());
    let crypto = DialCrypto::new(Arc::new(context), credential, key);
    let mut config = quinn::ClientConfig::new(change(crypto));
    config
        .version(m2_crypto::initial::QUIC_VERSION)
        .initial_dst_cid_provider(Arc::new(move || {
            let mut id = [0; 20];
            getrandom::fill(&mut id).unwrap();
            m2_crypto::initial::stamp_day(&mut id, today);
            ConnectionId::new(&id)
        }));
    config
}

struct NoResets;

impl HmacKey for NoResets {
    fn sign(&self, data: &[u8], out: &mut [u8]) {
        out.copy_from_slice(&label::mac(b"test", "reset", &[data]));
    }

    fn signature_len(&self) -> usize {
        32
    }

    fn verify(&self, _: &[u8], _: &[u8]) -> Result<(), CryptoError> {
        Err(CryptoError)
    }
}
