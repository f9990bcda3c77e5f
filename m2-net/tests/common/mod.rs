//! Helpers for the tests of endpoints: identities, endpoints on loopback, a tap on the wire.
#![allow(dead_code, unreachable_pub)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use m2_crypto::handshake::Credential;
use m2_crypto::{Circle, Identity, PeerId, provider};
use m2_net::endpoint::{Endpoint, EndpointConfig};
use m2_net::session::Session;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;
use tokio::net::UdpSocket;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep, timeout};

macro_rules! identity {
    ($name:ident) => {
        pub fn $name() -> Arc<Identity> {
            static KEPT: OnceLock<Arc<Identity>> = OnceLock::new();
            KEPT.get_or_init(|| {
                let pem = include_str!(concat!(
                    "../../../tests/vectors/identities/",
                    stringify!($name),
                    ".pem"
                ));
                Arc::new(Identity::from_pem(pem, None, provider::default()).unwrap())
            })
            .clone()
        }
    };
}

identity!(alice);
identity!(bob);
identity!(carol);

pub fn id(identity: &Identity) -> PeerId {
    identity.peer_id(Circle::public().id())
}

pub fn config(identity: Arc<Identity>) -> EndpointConfig {
    let mut config = EndpointConfig::new(Circle::public(), identity);
    config.listen = vec!["127.0.0.1:0".parse().unwrap()];
    config.key_pool_size = 4;
    config
}

pub fn endpoint(identity: Arc<Identity>) -> Endpoint {
    Endpoint::bind(config(identity)).unwrap()
}

pub fn address(endpoint: &Endpoint) -> SocketAddr {
    endpoint.local_addrs()[0]
}

pub async fn keys_ready(endpoint: &Endpoint) {
    let start = Instant::now();
    while endpoint.stats().keys_ready < endpoint.stats().keys_wanted {
        assert!(start.elapsed() < Duration::from_secs(120), "key pool");
        sleep(Duration::from_millis(5)).await;
    }
}

/// Dials Bob at `to` as Alice, and returns both sides' session.
pub async fn connect(caller: &Endpoint, called: &Endpoint, to: SocketAddr) -> (Session, Session) {
    keys_ready(called).await;
    let dial = caller.dial(to, id(&bob()), Credential::Identity(alice()));
    let (dialled, accepted) = tokio::join!(dial, called.accept());
    (dialled.unwrap(), accepted.unwrap())
}

/// A proxy between a dialling and an accepting endpoint that records all datagrams.
type Passes = Arc<Mutex<Box<dyn FnMut(usize) -> bool + Send>>>;
type Recorded = Arc<Mutex<Vec<(bool, Vec<u8>)>>>;

pub struct Tap {
    pub address: SocketAddr,
    pub to_called: Arc<Mutex<Vec<Vec<u8>>>>,
    pub to_caller: Arc<Mutex<Vec<Vec<u8>>>>,
    /// Both directions in order. True: to the accepting endpoint.
    pub both: Recorded,
    passes: Passes,
    front: Arc<UdpSocket>,
    task: AbortHandle,
}

impl Tap {
    pub async fn new(called: SocketAddr) -> Self {
        Self::answering(called, true).await
    }

    /// With `answers` false, datagrams of the accepting endpoint are not delivered.
    pub async fn answering(called: SocketAddr, answers: bool) -> Self {
        let front = Arc::new(UdpSocket::bind("127.0.0.1:0").await.unwrap());
        let back = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        back.connect(called).await.unwrap();
        let address = front.local_addr().unwrap();
        let (to_called, to_caller) = (Arc::default(), Arc::default());
        let both = Recorded::default();
        let passes: Passes = Arc::new(Mutex::new(Box::new(|_| true)));
        let task = tokio::spawn(pump(
            Arc::clone(&front),
            back,
            Arc::clone(&to_called),
            Arc::clone(&to_caller),
            Arc::clone(&both),
            Arc::clone(&passes),
            answers,
        ));
        Self {
            address,
            to_called,
            to_caller,
            both,
            passes,
            front,
            task: task.abort_handle(),
        }
    }

    /// Delivers only the datagrams for whose length `passes` returns true, in both directions.
    pub fn passes(&self, passes: impl FnMut(usize) -> bool + Send + 'static) {
        *self.passes.lock().unwrap() = Box::new(passes);
    }

    /// Sends datagrams from the address that was dialled.
    pub async fn replay(&self, to: SocketAddr, datagrams: &[Vec<u8>]) {
        for datagram in datagrams {
            self.front.send_to(datagram, to).await.unwrap();
        }
    }

    pub fn calls(&self) -> Vec<Vec<u8>> {
        self.to_called.lock().unwrap().clone()
    }

    pub fn answers(&self) -> Vec<Vec<u8>> {
        self.to_caller.lock().unwrap().clone()
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn pump(
    front: Arc<UdpSocket>,
    back: UdpSocket,
    to_called: Arc<Mutex<Vec<Vec<u8>>>>,
    to_caller: Arc<Mutex<Vec<Vec<u8>>>>,
    both: Recorded,
    passes: Passes,
    answers: bool,
) {
    let mut caller = None;
    let (mut one, mut other) = (vec![0; 65_536], vec![0; 65_536]);
    loop {
        tokio::select! {
            got = front.recv_from(&mut one) => {
                let (length, from) = got.unwrap();
                caller = Some(from);
                to_called.lock().unwrap().push(one[..length].to_vec());
                both.lock().unwrap().push((true, one[..length].to_vec()));
                if !passes.lock().unwrap()(length) {
                    continue;
                }
                let _ = back.send(&one[..length]).await;
            }
            got = back.recv(&mut other) => {
                let Ok(length) = got else { continue };
                to_caller.lock().unwrap().push(other[..length].to_vec());
                both.lock().unwrap().push((false, other[..length].to_vec()));
                if !passes.lock().unwrap()(length) {
                    continue;
                }
                if let (true, Some(caller)) = (answers, caller) {
                    let _ = front.send_to(&other[..length], caller).await;
                }
            }
        }
    }
}

/// Sends a datagram from a fresh address and waits for an answer, with a timeout for busy machines.
pub async fn is_answered(to: SocketAddr, datagram: &[u8]) -> bool {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.connect(to).await.unwrap();
    socket.send(datagram).await.unwrap();
    let mut buffer = vec![0; 65_536];
    let answer = timeout(Duration::from_secs(30), socket.recv(&mut buffer));
    matches!(answer.await, Ok(Ok(length)) if length > 0)
}

/// Sends datagrams from a fresh address and returns how many bytes came back.
pub async fn bytes_back(to: SocketAddr, datagrams: impl IntoIterator<Item = Vec<u8>>) -> usize {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.connect(to).await.unwrap();
    for (number, datagram) in datagrams.into_iter().enumerate() {
        let _ = socket.send(&datagram).await;
        if number % 50 == 49 {
            sleep(Duration::from_millis(1)).await;
        }
    }
    let mut buffer = vec![0; 65_536];
    let mut bytes = 0;
    while let Ok(Ok(length)) = timeout(Duration::from_millis(400), socket.recv(&mut buffer)).await {
        bytes += length;
    }
    bytes
}

/// Waits until a condition holds.
pub async fn until(what: &str, condition: impl Fn() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(
            begun.elapsed() < Duration::from_secs(60),
            "timed out waiting for: {what}"
        );
        sleep(Duration::from_millis(10)).await;
    }
}
