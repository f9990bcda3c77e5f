//! The endpoint: all sockets of a daemon, for outgoing and incoming sessions.

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
use crate::counters::{Counter, Counters};
use crate::crossing::Dialling;
use crate::dial_error::DialError;
use crate::engines::{EngineConfig, Engines};
use crate::key_pool::{KeyPool, PERSONAL_SIZE};
pub use crate::limits::Limits;
use crate::line::{self, Carriers};
use crate::quic_crypto::Attachments;
use crate::replay::{DEFAULT_CAPACITY, ReplayLog};
use crate::sent::Sent;
use crate::session::{CloseCode, Session};
use crate::suites::LeastSuites;
use crate::wire::Purpose;
pub use punch::LONGEST_PUNCH;

use builder::Builder;
use caller::Caller;
use m2_crypto::handshake::{Credential, Suite};
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
/// How long a dial waits for the end of a handshake that the peer initiated.
const CROSSED_WAIT: Duration = Duration::from_secs(3);
/// The additional pause of a dial after that.
const CROSSED_REST: Duration = Duration::from_secs(1);

/// The configuration of an endpoint.
pub struct EndpointConfig {
    /// The addresses to listen on, one socket each. Port 0 takes any free port.
    pub listen: Vec<SocketAddr>,
    /// The daemon's circle.
    pub circle: Circle,
    /// The identity with which incoming handshakes are answered.
    pub identity: Arc<Identity>,
    /// The cryptography provider.
    pub provider: &'static dyn Provider,
    /// The number of session keys held ready: [`PERSONAL_SIZE`] or
    /// [`ROLE_SIZE`](crate::key_pool::ROLE_SIZE).
    pub key_pool_size: usize,
    /// A pool of session keys that other endpoints use, too, in place of its own.
    pub shared_keys: Option<Arc<KeyPool>>,
    /// The clock.
    pub clock: Clock,
    /// The log of accepted connection attempts; without it a restart forgets them.
    pub replay_log: Option<Box<dyn ReplayLog>>,
    /// The largest number of accepted connection attempts that are remembered.
    pub replay_capacity: usize,
    /// The software version reported to peers, at most 32 bytes of ASCII.
    pub version: String,
    /// Pads every data packet to the path's MTU (`privacy.padding = "full"`).
    pub pad_to_mtu: bool,
    /// The number of fixed-size pieces that every session with a peer sends per second, whether or
    /// not there is data (`privacy.cover`).
    pub cover: Option<NonZeroU32>,
    /// Ignores all incoming connection attempts: the sockets only dial, and probing them does not
    /// reveal their owner.
    pub dials_only: bool,
    /// Accepts QUIC datagrams: needed to serve as a relay
    /// (docs/spec/line.md#sessions-with-a-relay).
    pub relay: bool,
    /// If set, datagrams are sent only to the addresses on this list, whatever is dialled
    /// (docs/spec/line.md#which-relays-a-session-passes).
    pub only_to: Option<Arc<AllowList>>,
    /// The contacts, whose connection attempts take precedence.
    pub callers: Arc<Callers>,
    /// The least suites of peers.
    pub suites: Arc<LeastSuites>,
    /// The limits on resources that callers use.
    pub limits: Limits,
    /// For tests: an impostor that answers connection attempts to this id with its own identity.
    #[doc(hidden)]
    pub impersonating: Option<PeerId>,
}

impl EndpointConfig {
    /// Returns the configuration of a personal daemon that listens on no address yet and keeps no
    /// replay log.
    pub fn new(circle: Circle, identity: Arc<Identity>) -> Self {
        Self {
            listen: Vec::new(),
            circle,
            identity,
            provider: m2_crypto::provider::default(),
            key_pool_size: PERSONAL_SIZE,
            shared_keys: None,
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
            suites: Arc::default(),
            limits: Limits::default(),
            impersonating: None,
        }
    }
}

impl fmt::Debug for EndpointConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EndpointConfig(..)")
    }
}

/// The counters of an endpoint, for status and metrics. They contain no names or addresses.
#[derive(Debug, Clone)]
pub struct EndpointStats {
    /// Events by reason; see [`Counter`].
    pub counters: BTreeMap<&'static str, u64>,
    /// Session keys that are ready.
    pub keys_ready: usize,
    /// Session keys when the pool is full.
    pub keys_wanted: usize,
    /// Session keys that were spent so far.
    pub keys_spent: u64,
    /// Spent keys that led to no session: each is kept for the next dial of the same peer.
    pub keys_kept: usize,
    /// Connections of all sockets, handshakes included.
    pub connections: usize,
}

/// All sockets of a daemon. Dropping it closes them without notifying the peers; see
/// [`Self::close`].
pub struct Endpoint {
    sockets: Vec<Arc<Engines>>,
    caller: Caller,
    acceptor: Arc<Acceptor>,
    accepted: AsyncMutex<mpsc::Receiver<Session>>,
    closed: watch::Sender<bool>,
    keys: Arc<KeyPool>,
    counters: Arc<Counters>,
    carriers: Arc<Carriers>,
    engine_config: Arc<EngineConfig>,
    next_carrier: AtomicU32,
    /// The accept loops; aborted on drop.
    loops: Mutex<JoinSet<()>>,
    canary: Canary,
}

impl Endpoint {
    /// Binds all sockets and starts to accept. Must be called in a multi-thread tokio runtime.
    ///
    /// Errors: an address can't be bound (the error names it), or the replay log can't be read.
    pub fn bind(config: EndpointConfig) -> io::Result<Self> {
        Builder::new(config)?.bind()
    }

    /// Dials the peer `peer` at `address`, as `credential`, with the timeout of
    /// [`Limits::handshake`].
    ///
    /// Errors: [`DialError`].
    pub async fn dial(
        &self,
        address: SocketAddr,
        peer: PeerId,
        credential: Credential,
    ) -> Result<Session, DialError> {
        let limit = self.caller.limit;
        self.dial_within(address, peer, credential, limit).await
    }

    /// Like [`Self::dial`], with another timeout: the handshake and the Hello must be done within
    /// `limit`. They take three round trips, and more for every lost packet.
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

    /// Like [`Self::dial_within`], for a session with any purpose.
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

    /// Like [`Self::dial_for`], and counts in `sent` the datagrams sent until the peer has proved its id.
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
        if !self.caller.greeting.suites.admits(&peer, Suite::NEWEST) {
            return Err(DialError::NoCommonSuite);
        }
        let socket = self.socket_for(address).ok_or(DialError::NoSocket)?;
        let lease = timeout(limit, socket.lease(address, peer)).await;
        let lease = lease.map_err(|_| DialError::Local)?;
        let engine = socket.dialling(lease.engine());
        let engine = engine.map_err(|_| DialError::NoSocket)?;
        let anonymous = matches!(credential, Credential::Anonymous);
        // Only sessions between two identified peers can replace each other.
        let (key, dialling) = match purpose {
            Purpose::Peer if !anonymous => {
                let (key, dialling) = self.begin_dial(peer).await?;
                (key, Some(dialling))
            }
            _ => (self.key_for(&peer, anonymous).await?.0, None),
        };
        let attachments = Attachments {
            sent,
            _lease: Some(lease),
        };
        let config = self.caller.config(
            peer,
            dialling.as_ref(),
            credential,
            key,
            purpose,
            attachments,
        );
        let connecting = engine
            .connect_with(config, address, &peer.to_string())
            .map_err(DialError::from_connect)?;
        let session = self.caller.complete(connecting, purpose, anonymous);
        match timeout(limit, session).await {
            Ok(Ok(session)) => {
                self.counters.count(Counter::SessionDialled);
                Ok(session)
            }
            Ok(Err(error)) => Err(error),
            Err(_) => Err(DialError::NoAnswer),
        }
    }

    /// Returns a key to dial a peer with, once no connection attempt of that peer is being
    /// answered. It waits for that at most twice, so that a slow peer can't block the dial.
    async fn begin_dial(&self, peer: PeerId) -> Result<(SessionKeyPair, Dialling), DialError> {
        let crossing = &self.caller.crossing;
        for _ in 0..2 {
            self.let_its_call_end(&peer).await;
            let (key, is_kept) = self.key_for(&peer, false).await?;
            if let Some(dialling) = crossing.try_dial(peer, Instant::now()) {
                return Ok((key, dialling));
            }
            // The peer dialled this daemon during the wait for the key.
            if is_kept {
                self.caller.kept.put(peer, key);
            } else {
                self.keys.give_back(key);
            }
        }
        let (key, _) = self.key_for(&peer, false).await?;
        Ok((key, crossing.dial(peer, Instant::now())))
    }

    /// Returns a key to dial a peer with, and whether it was kept from an earlier dial of the same
    /// peer.
    async fn key_for(
        &self,
        peer: &PeerId,
        anonymous: bool,
    ) -> Result<(SessionKeyPair, bool), DialError> {
        let kept = (!anonymous).then(|| self.caller.kept.take(peer)).flatten();
        if let Some(key) = kept {
            return Ok((key, true));
        }
        let key = self.keys.wait(KEY_WAIT).await;
        key.map(|key| (key, false)).ok_or(DialError::NoKeyReady)
    }

    /// Waits until a pending connection attempt of the peer was answered, plus a short pause: if it led to
    /// a session, the dial is cancelled by its caller in that time.
    async fn let_its_call_end(&self, peer: &PeerId) {
        let crossing = &self.caller.crossing;
        if crossing.is_answering(peer) {
            let _ = timeout(CROSSED_WAIT, crossing.answers_ended(peer)).await;
            sleep(CROSSED_REST).await;
        }
    }

    /// Drops the keys kept from unanswered dials, because this host may have moved: a reused key
    /// would let an observer that knows the dialled peer's id link the two locations.
    pub fn forget_kept_keys(&self) {
        self.caller.kept.clear();
    }

    /// Returns the next session that a peer dialled; `None` once the endpoint is closed.
    pub async fn accept(&self) -> Option<Session> {
        let mut closed = self.closed.subscribe();
        let mut accepted = self.accepted.lock().await;
        tokio::select! {
            session = accepted.recv() => session,
            _ = closed.wait_for(|closed| *closed) => None,
        }
    }

    /// Waits until this endpoint can't work any more: it was closed, or a socket's task or the
    /// thread that generates session keys has ended.
    pub async fn ended(&self) {
        tokio::select! {
            () = self.canary.silent() => {}
            () = self.keys.ended() => {}
        }
    }

    /// Returns the addresses to which the sockets are bound.
    pub fn local_addrs(&self) -> Vec<SocketAddr> {
        self.sockets
            .iter()
            .filter_map(|socket| socket.local_addr().ok())
            .collect()
    }

    /// Returns the addresses at which the sockets can be reached on this host, given the addresses
    /// of its interfaces: for a socket bound to the unspecified address, one for each of them.
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

    /// Returns the current counters.
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

    /// Stops accepting, closes all sessions and waits, at most `deadline`, until their peers know
    /// it. Frames that must still arrive must be [finished](crate::frame::FrameSender::finish)
    /// before.
    pub async fn close(&self, deadline: Duration) {
        self.acceptor.stop();
        self.closed.send_replace(true);
        let sockets: Vec<_> = self.all_sockets().collect();
        for socket in &sockets {
            socket.close(crate::ending::on_wire(CloseCode::ShuttingDown));
        }
        let idle = async {
            for socket in &sockets {
                socket.wait_idle().await;
            }
        };
        // Peers that miss the close will notice by their idle timeout.
        let _ = timeout(deadline, idle).await;
        self.acceptor.replay.sync();
    }

    fn all_sockets(&self) -> impl Iterator<Item = Arc<Engines>> {
        let of_lines = self.carriers.engines();
        self.sockets.iter().cloned().chain(of_lines)
    }

    /// Returns the socket that can reach `address`: one of its family, bound to loopback only if
    /// the address is loopback.
    fn socket_for(&self, address: SocketAddr) -> Option<Arc<Engines>> {
        if line::is_on_line(&address) {
            return self.carriers.engines_for(&address);
        }
        let place = self.place_for(address)?;
        self.sockets.get(place).cloned()
    }

    /// Returns the index of the socket that can reach an address.
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
