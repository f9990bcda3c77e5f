//! The endpoint: all sockets of a daemon, calls out and calls in.

mod builder;
mod caller;
mod kept_keys;
mod lines;
mod punch;

use crate::acceptor::Acceptor;
use crate::allow_list::AllowList;
use crate::callers::Callers;
use crate::canary::Canary;
use crate::clock::Clock;
use crate::connection_id::ConnectionIds;
use crate::counters::{Counter, Counters};
use crate::crossing::Dialling;
use crate::dial_error::DialError;
use crate::key_pool::{KeyPool, PERSONAL_SIZE};
use crate::line::{self, Carriers, Sieve};
use crate::lookup::interfaces;
use crate::replay::{DEFAULT_CAPACITY, ReplayLog};
use crate::sent::Sent;
use crate::session::{CloseCode, Session};
use crate::socket::ObfuscatedSocket;
use crate::wire::Purpose;
pub use punch::LONGEST_PUNCH;

use builder::Builder;
use caller::Caller;
use m2_crypto::handshake::Credential;
use m2_crypto::session_key::SessionKeyPair;
use m2_crypto::{Circle, Identity, PeerId, Provider};
use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::sync::atomic::AtomicU32;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::sync::{Mutex as AsyncMutex, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// How long a dial waits for a session key.
const KEY_WAIT: Duration = Duration::from_secs(5);
/// How long a dial waits for the end of a handshake that the peer began.
const CROSSED_WAIT: Duration = Duration::from_secs(3);
/// How long it waits after that.
const CROSSED_REST: Duration = Duration::from_secs(1);

/// What an endpoint is made from.
pub struct EndpointConfig {
    /// Where to listen: one socket each. Port 0 takes any.
    pub listen: Vec<SocketAddr>,
    /// The circle that the daemon lives in.
    pub circle: Circle,
    /// Who answers.
    pub identity: Arc<Identity>,
    /// Who does the cryptography.
    pub provider: &'static dyn Provider,
    /// Session keys held ready: [`PERSONAL_SIZE`] or
    /// [`ROLE_SIZE`](crate::key_pool::ROLE_SIZE).
    pub key_pool_size: usize,
    /// Where the time comes from.
    pub clock: Clock,
    /// Where accepted calls are written down; without it a restart forgets them.
    pub replay_log: Option<Box<dyn ReplayLog>>,
    /// Accepted calls that are remembered at most.
    pub replay_capacity: usize,
    /// The software version that peers are told, at most 32 bytes of ASCII.
    pub version: String,
    /// Pads every data packet to the path's MTU (`privacy.padding = "full"`).
    pub pad_to_mtu: bool,
    /// Pieces of frames that leave every session with a peer each second, whether or not there is
    /// something to say (`privacy.cover`).
    pub cover: Option<NonZeroU32>,
    /// Answers nobody: these sockets call only, and who finds one can't tell whose it is.
    pub dials_only: bool,
    /// Takes in datagrams: needed to serve as a relay (spec §7).
    pub relay: bool,
    /// Sends to nobody else, whatever it is asked to (spec §7).
    pub only_to: Option<Arc<AllowList>>,
    /// Contacts, whose calls go before those of others.
    pub callers: Arc<Callers>,
    /// What callers may make grow.
    pub limits: Limits,
    /// For tests: an impostor that answers calls to this id with its own identity.
    #[doc(hidden)]
    pub posing_as: Option<PeerId>,
}

impl EndpointConfig {
    /// A personal daemon that listens nowhere yet and keeps no replay log.
    pub fn new(circle: Circle, identity: Arc<Identity>) -> Self {
        Self {
            listen: Vec::new(),
            circle,
            identity,
            provider: m2_crypto::provider::default(),
            key_pool_size: PERSONAL_SIZE,
            clock: Clock::system(),
            replay_log: None,
            replay_capacity: DEFAULT_CAPACITY,
            version: env!("CARGO_PKG_VERSION").into(),
            pad_to_mtu: false,
            cover: None,
            dials_only: false,
            relay: false,
            only_to: None,
            callers: Arc::default(),
            limits: Limits::default(),
            posing_as: None,
        }
    }
}

impl fmt::Debug for EndpointConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EndpointConfig(..)")
    }
}

/// Bounds on what callers can make grow.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Handshakes that do RSA work at once.
    pub turns: usize,
    /// Calls in flight above which callers must prove their address first.
    pub retry_above: usize,
    /// Calls in flight above which further ones are ignored.
    pub waiting: usize,
    /// Sessions a socket may have open.
    pub sessions: usize,
    /// Calls that a source prefix (/24, /48) may make at once.
    pub prefix_burst: u32,
    /// Calls a second that a source prefix may make in the long run.
    pub prefix_per_second: u32,
    /// The handshake and the Hello must each be done in this time, in both directions.
    pub handshake: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            turns: 4,
            retry_above: 8,
            waiting: 256,
            sessions: 1024,
            prefix_burst: 64,
            prefix_per_second: 16,
            handshake: Duration::from_secs(10),
        }
    }
}

/// What an endpoint has counted, for status and metrics. Nobody is named (spec §10).
#[derive(Debug, Clone)]
pub struct EndpointStats {
    /// By reason; see [`Counter`].
    pub counters: BTreeMap<&'static str, u64>,
    /// Session keys that are ready.
    pub keys_ready: usize,
    /// Session keys when the pool is full.
    pub keys_wanted: usize,
    /// Session keys that were spent so far.
    pub keys_spent: u64,
    /// Those of them that no session came of: each serves the next call to the same peer.
    pub keys_kept: usize,
    /// Connections of all sockets, handshakes included.
    pub connections: usize,
}

/// All sockets of a daemon. Dropping it ends it without saying goodbye; see [`Self::close`].
pub struct Endpoint {
    sockets: Vec<quinn::Endpoint>,
    /// What the sockets are made of, in the same order.
    raw: Vec<Arc<ObfuscatedSocket>>,
    caller: Caller,
    acceptor: Arc<Acceptor>,
    accepted: AsyncMutex<mpsc::Receiver<Session>>,
    closed: watch::Sender<bool>,
    keys: Arc<KeyPool>,
    counters: Arc<Counters>,
    carriers: Arc<Carriers>,
    sieve: Sieve,
    ids: ConnectionIds,
    next_carrier: AtomicU32,
    /// The accept loops; aborted when this is dropped.
    loops: Mutex<JoinSet<()>>,
    canary: Canary,
}

impl Endpoint {
    /// Binds all sockets and starts to answer. Must be called in a multi-thread tokio runtime.
    ///
    /// Errors: an address can't be bound, which the error names, or the replay log can't be read.
    pub fn bind(config: EndpointConfig) -> io::Result<Self> {
        Builder::new(config)?.bind()
    }

    /// Calls the peer `peer` at `address`, as `credential`.
    pub async fn dial(
        &self,
        address: SocketAddr,
        peer: PeerId,
        credential: Credential,
    ) -> Result<Session, DialError> {
        let limit = self.caller.limit;
        self.dial_within(address, peer, credential, limit).await
    }

    /// The same with another patience: the handshake and the Hello must be done within `limit`.
    /// That is three round trips, and more for every packet that is lost.
    pub async fn dial_within(
        &self,
        address: SocketAddr,
        peer: PeerId,
        credential: Credential,
        limit: Duration,
    ) -> Result<Session, DialError> {
        let purpose = Purpose::Peer;
        self.dial_for(address, peer, credential, purpose, limit)
            .await
    }

    /// The same for a session that is not, or not only, for the talk of two peers.
    pub async fn dial_for(
        &self,
        address: SocketAddr,
        peer: PeerId,
        credential: Credential,
        purpose: Purpose,
        limit: Duration,
    ) -> Result<Session, DialError> {
        self.dial_counted(address, peer, credential, purpose, limit, None)
            .await
    }

    /// The same, and counts what is sent until the peer has proved its id.
    pub async fn dial_counted(
        &self,
        address: SocketAddr,
        peer: PeerId,
        credential: Credential,
        purpose: Purpose,
        limit: Duration,
        sent: Option<Arc<Sent>>,
    ) -> Result<Session, DialError> {
        let dialled = self.dial_once(address, peer, credential, purpose, limit, sent);
        let dialled = dialled.await;
        match &dialled {
            Ok(session) => self.carriers.bind(session),
            Err(_) => self.carriers.leave(&address),
        }
        dialled
    }

    async fn dial_once(
        &self,
        address: SocketAddr,
        peer: PeerId,
        credential: Credential,
        purpose: Purpose,
        limit: Duration,
        sent: Option<Arc<Sent>>,
    ) -> Result<Session, DialError> {
        let socket = self.socket_for(address).ok_or(DialError::NoSocket)?;
        let as_nobody = matches!(credential, Credential::Anonymous);
        // Only the sessions of two peers can take each other's place.
        let (key, dialling) = match purpose {
            Purpose::Peer if !as_nobody => {
                let (key, dialling) = self.begin_dial(peer).await?;
                (key, Some(dialling))
            }
            _ => (self.key_for(&peer, as_nobody).await?.0, None),
        };
        let config = self
            .caller
            .config(peer, dialling.as_ref(), credential, key, purpose, sent);
        let connecting = socket
            .connect_with(config, address, &peer.to_string())
            .map_err(DialError::from_connect)?;
        let session = self.caller.complete(connecting, purpose, as_nobody);
        match timeout(limit, session).await {
            Ok(Ok(session)) => {
                self.counters.count(Counter::SessionDialled);
                Ok(session)
            }
            Ok(Err(error)) => Err(error),
            Err(_) => Err(DialError::NoAnswer),
        }
    }

    /// A key to dial a peer with, once none of its own calls is being answered. It waits for that
    /// twice: a peer that is slow does not keep us from it for ever.
    async fn begin_dial(&self, peer: PeerId) -> Result<(SessionKeyPair, Dialling), DialError> {
        let crossing = &self.caller.crossing;
        for _ in 0..2 {
            self.let_its_call_end(&peer).await;
            let (key, is_kept) = self.key_for(&peer, false).await?;
            if let Some(dialling) = crossing.try_dial(peer, Instant::now()) {
                return Ok((key, dialling));
            }
            // It called while we waited for the key.
            if is_kept {
                self.caller.kept.put(peer, key);
            } else {
                self.keys.give_back(key);
            }
        }
        let (key, _) = self.key_for(&peer, false).await?;
        Ok((key, crossing.dial(peer, Instant::now())))
    }

    /// A key to dial a peer with, and whether it was kept from an earlier call to the same peer.
    async fn key_for(
        &self,
        peer: &PeerId,
        as_nobody: bool,
    ) -> Result<(SessionKeyPair, bool), DialError> {
        let kept = (!as_nobody).then(|| self.caller.kept.take(peer)).flatten();
        if let Some(key) = kept {
            return Ok((key, true));
        }
        let key = self.keys.wait(KEY_WAIT).await;
        key.map(|key| (key, false)).ok_or(DialError::NoKeyReady)
    }

    /// Waits for the end of a call of a peer that is being answered, and a moment longer: whoever
    /// dials here gives up once the session is there.
    async fn let_its_call_end(&self, peer: &PeerId) {
        let crossing = &self.caller.crossing;
        if crossing.is_answering(peer) {
            let _ = timeout(CROSSED_WAIT, crossing.answers_ended(peer)).await;
            sleep(CROSSED_REST).await;
        }
    }

    /// Forgets the keys of calls that got no answer: this host is somewhere else now, and they
    /// would tell who knows the callee's id that it is the same one.
    pub fn forget_kept_keys(&self) {
        self.caller.kept.clear();
    }

    /// The next session that a peer dialled; `None` when the endpoint is closed.
    pub async fn accept(&self) -> Option<Session> {
        let mut closed = self.closed.subscribe();
        let mut accepted = self.accepted.lock().await;
        tokio::select! {
            session = accepted.recv() => session,
            _ = closed.wait_for(|closed| *closed) => None,
        }
    }

    /// Waits until this endpoint can't work any more: it was closed, or a task of a socket or the
    /// thread that makes session keys has ended.
    pub async fn ended(&self) {
        tokio::select! {
            () = self.canary.silent() => {}
            () = self.keys.ended() => {}
        }
    }

    /// Where the sockets are really bound.
    pub fn local_addrs(&self) -> Vec<SocketAddr> {
        self.sockets
            .iter()
            .filter_map(|socket| socket.local_addr().ok())
            .collect()
    }

    /// Where the sockets are reached on this host: a socket that is bound to all addresses by each
    /// one of an interface.
    pub fn own_addresses(&self) -> Vec<SocketAddr> {
        self.addresses_on(&interfaces::usable(true))
    }

    /// Returns where the sockets are reached if the interfaces have these addresses.
    pub fn addresses_on(&self, interfaces: &[IpAddr]) -> Vec<SocketAddr> {
        let of_socket = |local: SocketAddr| -> Vec<SocketAddr> {
            if !local.ip().is_unspecified() {
                return vec![local];
            }
            let same = interfaces
                .iter()
                .filter(|ip| ip.is_ipv4() == local.is_ipv4());
            same.map(|ip| SocketAddr::new(*ip, local.port())).collect()
        };
        self.local_addrs().into_iter().flat_map(of_socket).collect()
    }

    /// What was counted so far.
    pub fn stats(&self) -> EndpointStats {
        EndpointStats {
            counters: self.counters.snapshot(),
            keys_ready: self.keys.ready(),
            keys_wanted: self.keys.wanted(),
            keys_spent: self.keys.spent(),
            keys_kept: self.caller.kept.len(),
            connections: self.all_sockets().map(|s| s.open_connections()).sum(),
        }
    }

    /// Takes no more calls, ends all sessions and waits, at most `deadline`, until their peers
    /// know it. Frames that must still arrive are to be
    /// [finished](crate::frame::FrameSender::finish) before.
    pub async fn close(&self, deadline: Duration) {
        self.acceptor.stop();
        self.closed.send_replace(true);
        let sockets: Vec<_> = self.all_sockets().collect();
        for socket in &sockets {
            socket.close(CloseCode::ShuttingDown.into(), &[]);
        }
        let idle = async {
            for socket in &sockets {
                socket.wait_idle().await;
            }
        };
        // Peers that don't hear it will notice by their idle time.
        let _ = timeout(deadline, idle).await;
        self.acceptor.replay.sync();
    }

    fn all_sockets(&self) -> impl Iterator<Item = quinn::Endpoint> {
        let of_lines = self.carriers.endpoints();
        self.sockets.iter().cloned().chain(of_lines)
    }

    /// The socket that can reach `address`: of its family, and bound to loopback only if the
    /// address is.
    fn socket_for(&self, address: SocketAddr) -> Option<quinn::Endpoint> {
        if line::is_on_line(&address) {
            return self.carriers.endpoint_for(&address);
        }
        let place = self.place_for(address)?;
        self.sockets.get(place).cloned()
    }

    /// Which of the sockets can reach an address.
    fn place_for(&self, address: SocketAddr) -> Option<usize> {
        let reaches = |local: SocketAddr| {
            local.is_ipv4() == address.is_ipv4()
                && (local.ip().is_unspecified()
                    || local.ip().is_loopback() == address.ip().is_loopback())
        };
        let mut sockets = self.sockets.iter();
        sockets.position(|socket| socket.local_addr().is_ok_and(reaches))
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Endpoint(..)")
    }
}
