//! M2's handshake between real quinn endpoints on loopback, without obfuscation.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use m2_crypto::handshake::{Credential, HandshakeError, Peer};
use m2_crypto::initial::{MAX_CID_LEN, QUIC_VERSION, stamp_day};
use m2_crypto::session_key::SessionKeyPair;
use m2_crypto::{Circle, Identity, PeerId, Secret, label, provider};
use m2_net::quic_crypto::{
    AnswerCrypto, CryptoContext, DialCrypto, HandshakeFailure, OffLoad, SessionKeys,
};
use quinn::{Connection, ConnectionError, Endpoint, TransportConfig};
use quinn_proto::crypto::{AeadKey, CryptoError, HandshakeTokenKey, HmacKey};
use quinn_proto::{ConnectionId, ConnectionIdGenerator};
use rand_core::{Rng, UnwrapErr};
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::task::JoinHandle;

const DAY: u32 = 20_000;

fn rng() -> UnwrapErr<getrandom::SysRng> {
    UnwrapErr(getrandom::SysRng)
}

fn identity(name: &str) -> Arc<Identity> {
    let path = format!(
        "{}/../tests/vectors/identities/{name}.pem",
        env!("CARGO_MANIFEST_DIR")
    );
    let pem = std::fs::read_to_string(path).unwrap();
    Arc::new(Identity::from_pem(&pem, None, provider::default()).unwrap())
}

fn id(name: &str) -> PeerId {
    identity(name).peer_id(Circle::public().id())
}

fn session_key() -> SessionKeyPair {
    SessionKeyPair::generate(&mut rng(), provider::default()).unwrap()
}

/// Keys that were generated ahead of time.
struct Stock(Mutex<Vec<SessionKeyPair>>);

impl SessionKeys for Stock {
    fn take(&self) -> Option<SessionKeyPair> {
        self.0.lock().unwrap().pop()
    }
}

struct Plain;

impl HmacKey for Plain {
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

impl HandshakeTokenKey for Plain {
    fn aead_from_hkdf(&self, _: &[u8]) -> Box<dyn AeadKey> {
        Box::new(Self)
    }
}

impl AeadKey for Plain {
    fn seal(&self, _: &mut Vec<u8>, _: &[u8]) -> Result<(), CryptoError> {
        Ok(())
    }

    fn open<'a>(&self, data: &'a mut [u8], _: &[u8]) -> Result<&'a mut [u8], CryptoError> {
        Ok(data)
    }
}

struct DayIds(u32);

impl DayIds {
    fn fresh(&self) -> ConnectionId {
        let mut id = [0; MAX_CID_LEN];
        rng().fill_bytes(&mut id);
        stamp_day(&mut id, self.0);
        ConnectionId::new(&id)
    }
}

impl ConnectionIdGenerator for DayIds {
    fn generate_cid(&mut self) -> ConnectionId {
        self.fresh()
    }

    fn cid_len(&self) -> usize {
        MAX_CID_LEN
    }

    fn cid_lifetime(&self) -> Option<Duration> {
        None
    }
}

fn context(circle: &Circle, day: u32) -> CryptoContext {
    CryptoContext::new(*circle.id(), provider::default(), Arc::new(move || day))
}

fn endpoint(day: u32, server: Option<quinn::ServerConfig>) -> Endpoint {
    let mut config = quinn::EndpointConfig::new(Arc::new(Plain));
    config.supported_versions(vec![QUIC_VERSION]);
    config.cid_generator(move || Box::new(DayIds(day)));
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    Endpoint::new(config, server, socket, Arc::new(quinn::TokioRuntime)).unwrap()
}

fn transport() -> Arc<TransportConfig> {
    let mut transport = TransportConfig::default();
    transport.max_idle_timeout(Some(Duration::from_secs(3).try_into().unwrap()));
    Arc::new(transport)
}

/// A responder that accepts with keys from a stock, after a Retry if configured.
struct Answering {
    crypto: Arc<AnswerCrypto>,
    keys: usize,
    day: u32,
    retry: bool,
}

impl Answering {
    fn bob() -> Self {
        let context = Arc::new(context(&Circle::public(), DAY));
        Self {
            crypto: AnswerCrypto::new(context, identity("bob")),
            keys: 2,
            day: DAY,
            retry: false,
        }
    }

    /// Returns the responder's address, and the first connection that comes up or its error.
    fn run(self) -> (SocketAddr, JoinHandle<Result<Connection, ConnectionError>>) {
        let stock = Stock(Mutex::new((0..self.keys).map(|_| session_key()).collect()));
        let mut config = quinn::ServerConfig::new(self.crypto.clone(), Arc::new(Plain));
        config.transport_config(transport());
        let endpoint = endpoint(self.day, Some(config.clone()));
        let address = endpoint.local_addr().unwrap();
        let accept = async move {
            loop {
                let incoming = endpoint.accept().await.unwrap();
                if self.retry && incoming.may_retry() {
                    incoming.retry().unwrap();
                    continue;
                }
                assert!(!self.retry || incoming.remote_address_validated());
                match self.crypto.reserve(&stock) {
                    None => incoming.ignore(),
                    Some(crypto) => {
                        let config = crypto.accept_config(&config);
                        return incoming.accept_with(config)?.await;
                    }
                }
            }
        };
        (address, tokio::spawn(accept))
    }
}

struct Dialing {
    context: CryptoContext,
    credential: Credential,
    day: u32,
}

impl Dialing {
    fn alice() -> Self {
        Self {
            context: context(&Circle::public(), DAY),
            credential: Credential::Identity(identity("alice")),
            day: DAY,
        }
    }

    async fn call(
        self,
        address: SocketAddr,
        called: PeerId,
    ) -> Result<Connection, HandshakeFailure> {
        let crypto = DialCrypto::new(Arc::new(self.context), self.credential, session_key());
        let mut config = quinn::ClientConfig::new(crypto);
        let day = self.day;
        config.version(QUIC_VERSION);
        config.transport_config(transport());
        config.initial_dst_cid_provider(Arc::new(move || DayIds(day).fresh()));
        let endpoint = endpoint(day, None);
        let connecting = endpoint
            .connect_with(config, address, &called.to_string())
            .unwrap();
        connecting.await.map_err(|error| (&error).into())
    }
}

fn peer(connection: &Connection) -> Peer {
    *connection.peer_identity().unwrap().downcast().unwrap()
}

async fn send_and_return(from: &Connection, to: &Connection, size: usize) {
    let sent: Vec<u8> = (0..size).map(|at| (at % 251) as u8).collect();
    let (mut send, mut receive) = from.open_bi().await.unwrap();
    let there = async {
        let (mut send, mut receive) = to.accept_bi().await.unwrap();
        let bytes = receive.read_to_end(size).await.unwrap();
        send.write_all(&bytes).await.unwrap();
        send.finish().unwrap();
    };
    let out = async {
        send.write_all(&sent).await.unwrap();
        send.finish().unwrap();
    };
    let ((), (), back) = tokio::join!(there, out, receive.read_to_end(size));
    assert!(back.unwrap() == sent);
}

fn export(connection: &Connection, label: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    connection
        .export_keying_material(&mut out, label, b"context")
        .unwrap();
    out
}

async fn both_know_each_other() {
    let (address, accepted) = Answering::bob().run();
    let at_i = Dialing::alice().call(address, id("bob")).await.unwrap();
    let at_r = accepted.await.unwrap().unwrap();
    assert_eq!(peer(&at_i).id(), Some(&id("bob")));
    assert_eq!(peer(&at_r).id(), Some(&id("alice")));
    assert_eq!(export(&at_i, b"x"), export(&at_r, b"x"));
    assert_ne!(export(&at_i, b"x"), export(&at_i, b"y"));
    send_and_return(&at_i, &at_r, 1 << 20).await;
    send_and_return(&at_r, &at_i, 1 << 20).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn identities_exporter_and_streams() {
    both_know_each_other().await;
}

#[tokio::test]
async fn identities_exporter_and_streams_in_a_current_thread_runtime() {
    both_know_each_other().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_anonymous_caller_is_accepted() {
    let (address, accepted) = Answering::bob().run();
    let mut dialing = Dialing::alice();
    dialing.credential = Credential::Anonymous;
    dialing.context = dialing.context.off_load(OffLoad::Inline);
    let at_i = dialing.call(address, id("bob")).await.unwrap();
    let at_r = accepted.await.unwrap().unwrap();
    assert_eq!(peer(&at_r), Peer::Anonymous);
    send_and_return(&at_i, &at_r, 10_000).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_impostor_is_detected_and_learns_nothing() {
    let mut answering = Answering::bob();
    let context_of_carol = Arc::new(context(&Circle::public(), DAY));
    answering.crypto = AnswerCrypto::impersonating(id("bob"), context_of_carol, identity("carol"));
    let (address, accepted) = answering.run();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let mut dialing = Dialing::alice();
    let note = seen.clone();
    let observer = move |error: &HandshakeError| note.lock().unwrap().push(*error);
    dialing.context = dialing.context.observe_failures(Arc::new(observer));
    let failure = dialing.call(address, id("bob")).await.unwrap_err();
    assert_eq!(failure, HandshakeFailure::WrongPeer);
    assert_eq!(*seen.lock().unwrap(), [HandshakeError::WrongPeer]);
    assert!(accepted.await.unwrap().is_err(), "no session, no identity");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dial_to_another_id_circle_or_day_gets_no_answer() {
    let home = Circle::private("home", &Secret::new([1; 32]));
    let calls = [
        (Circle::public(), id("carol"), DAY),
        (home, id("bob"), DAY),
        (Circle::public(), id("bob"), DAY + 2),
    ];
    for (circle, called, day) in calls {
        let (address, accepted) = Answering::bob().run();
        let mut dialing = Dialing::alice();
        dialing.context = context(&circle, day);
        dialing.day = day;
        let failure = dialing.call(address, called).await.unwrap_err();
        assert_eq!(failure, HandshakeFailure::NoAnswer);
        accepted.abort();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clocks_may_differ_by_a_day() {
    for day in [DAY - 1, DAY + 1] {
        for retry in [false, true] {
            let mut answering = Answering::bob();
            answering.retry = retry;
            let (address, accepted) = answering.run();
            let mut dialing = Dialing::alice();
            dialing.context = context(&Circle::public(), day);
            dialing.day = day;
            dialing.call(address, id("bob")).await.unwrap();
            accepted.await.unwrap().unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_day_may_change_during_a_dial() {
    let today = Arc::new(AtomicU32::new(DAY));
    let asked = today.clone();
    // Every call returns the other side of midnight.
    let clock = Arc::new(move || DAY + (asked.fetch_add(1, Ordering::Relaxed) % 2));
    let mut answering = Answering::bob();
    let moving = CryptoContext::new(*Circle::public().id(), provider::default(), clock);
    answering.crypto = AnswerCrypto::new(Arc::new(moving.clone()), identity("bob"));
    let (address, accepted) = answering.run();
    let mut dialing = Dialing::alice();
    dialing.context = moving;
    dialing.call(address, id("bob")).await.unwrap();
    accepted.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_retry_comes_first_when_asked_for() {
    let mut answering = Answering::bob();
    answering.retry = true;
    let (address, accepted) = answering.run();
    let at_i = Dialing::alice().call(address, id("bob")).await.unwrap();
    let at_r = accepted.await.unwrap().unwrap();
    send_and_return(&at_i, &at_r, 10_000).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_session_key_there_is_no_answer() {
    let mut answering = Answering::bob();
    answering.keys = 0;
    let (address, accepted) = answering.run();
    let failure = Dialing::alice().call(address, id("bob")).await.unwrap_err();
    assert_eq!(failure, HandshakeFailure::NoAnswer);
    accepted.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn accepting_without_a_reserved_key_fails_cleanly() {
    let failures = Arc::new(AtomicUsize::new(0));
    let count = failures.clone();
    let observer = move |_: &HandshakeError| {
        count.fetch_add(1, Ordering::Relaxed);
    };
    let context = context(&Circle::public(), DAY).observe_failures(Arc::new(observer));
    let crypto = AnswerCrypto::new(Arc::new(context), identity("bob"));
    let config = quinn::ServerConfig::new(crypto, Arc::new(Plain));
    let endpoint = endpoint(DAY, Some(config));
    let address = endpoint.local_addr().unwrap();
    let accepted = tokio::spawn(async move {
        let call = endpoint.accept().await.unwrap();
        call.accept().unwrap().await.err()
    });
    let failure = Dialing::alice().call(address, id("bob")).await.unwrap_err();
    assert_eq!(failure, HandshakeFailure::Failed);
    assert!(accepted.await.unwrap().is_some());
    assert_eq!(failures.load(Ordering::Relaxed), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_can_be_updated_repeatedly() {
    let (address, accepted) = Answering::bob().run();
    let at_i = Dialing::alice().call(address, id("bob")).await.unwrap();
    let at_r = accepted.await.unwrap().unwrap();
    for round in 0..6 {
        let side = if round % 2 == 0 { &at_i } else { &at_r };
        side.force_key_update();
        send_and_return(&at_i, &at_r, 50_000).await;
        send_and_return(&at_r, &at_i, 50_000).await;
        // The previous keys must be discarded before the next update.
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_dial_configuration_is_good_once_and_for_peer_ids_only() {
    let context = Arc::new(context(&Circle::public(), DAY));
    let crypto = DialCrypto::new(context, Credential::Anonymous, session_key());
    let mut config = quinn::ClientConfig::new(crypto);
    let endpoint = endpoint(DAY, None);
    let address = "127.0.0.1:9".parse().unwrap();
    let called = id("bob").to_string();
    assert!(
        endpoint
            .connect_with(config.clone(), address, &called)
            .is_err()
    );
    config.version(QUIC_VERSION);
    assert!(
        endpoint
            .connect_with(config.clone(), address, "bob")
            .is_err()
    );
    assert!(
        endpoint
            .connect_with(config.clone(), address, &called)
            .is_ok()
    );
    assert!(endpoint.connect_with(config, address, &called).is_err());
}
