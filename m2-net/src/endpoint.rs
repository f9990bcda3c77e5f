//! The endpoint: all sockets of a daemon, calls out and calls in.

use crate::acceptor::Acceptor;
use crate::address_token::{TokenKey, UsedTokens};
use crate::allow_list::AllowList;
use crate::clock::Clock;
use crate::connection_id::{ConnectionIds, first_destination};
use crate::counters::{Counter, Counters};
use crate::dial_error::DialError;
use crate::gate::Gate;
use crate::key_pool::{KeyPool, PERSONAL_SIZE};
use crate::line::{self, Carrier, Carriers, Hop, LineError, Sieve};
use crate::prefix_limit::PrefixLimiter;
use crate::quic_crypto::{AnswerCrypto, CryptoContext, DialCrypto, FailureObserver};
use crate::replay::{DEFAULT_CAPACITY, ReplayLog};
use crate::replay_memory::ReplayMemory;
use crate::session::{CloseCode, Greeting, Session};
use crate::socket::{self, ObfuscatedSocket};
use crate::transport;
use crate::wire::Purpose;
use m2_crypto::handshake::{Credential, HandshakeError};
use m2_crypto::initial::QUIC_VERSION;
use m2_crypto::obfuscation::Obfuscator;
use m2_crypto::session_key::SessionKeyPair;
use m2_crypto::{Circle, Identity, PeerId, Provider};
use quinn::{
    ClientConfig, NoneTokenStore, TokenMemoryCache, TokenStore, TokioRuntime, TransportConfig,
};
use rand_core::UnwrapErr;
use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Mutex as AsyncMutex, Semaphore, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

/// How long a dial waits for a session key.
const KEY_WAIT: Duration = Duration::from_secs(5);

/// How long one address of a relay is tried.
const RELAY_LIMIT: Duration = Duration::from_secs(5);

/// Accepted sessions that nobody has taken yet.
const READY: usize = 64;

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
    /// Connections of all sockets, handshakes included.
    pub connections: usize,
}

/// All sockets of a daemon. Dropping it ends it without saying goodbye; see [`Self::close`].
pub struct Endpoint {
    sockets: Vec<quinn::Endpoint>,
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
}

impl Endpoint {
    /// Binds all sockets and starts to answer. Must be called in a multi-thread tokio runtime.
    ///
    /// Errors: an address can't be bound, or the replay log can't be read.
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
        let dialled = self.dial_once(address, peer, credential, purpose, limit);
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
    ) -> Result<Session, DialError> {
        let socket = self.socket_for(address).ok_or(DialError::NoSocket)?;
        let key = self.keys.wait(KEY_WAIT).await;
        let key = key.ok_or(DialError::NoKeyReady)?;
        let as_nobody = matches!(credential, Credential::Anonymous);
        let config = self.caller.config(credential, key, purpose);
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

    /// Opens a session for lines with the last of `hops`, by way of those before it, as nobody.
    ///
    /// Errors: see [`LineError`]; without a hop nothing was reached.
    pub async fn dial_relay(&self, hops: &[Hop]) -> Result<Session, LineError> {
        let (first, further) = hops.split_first().ok_or(DialError::Local)?;
        let mut failure = DialError::Local;
        for address in &first.addresses {
            let dialled = self.dial_for(
                *address,
                first.relay,
                Credential::Anonymous,
                Purpose::Line,
                RELAY_LIMIT,
            );
            match dialled.await {
                Ok(mut session) => {
                    line::extend(&mut session, further).await?;
                    return Ok(session);
                }
                Err(error) => failure = error,
            }
        }
        Err(failure.into())
    }

    /// Lets calls come and go over a session that [`Self::dial_relay`] gave, of this endpoint or
    /// another one.
    ///
    /// Errors: [`LineError::PathTooSmall`], [`LineError::Ended`].
    pub fn attach(&self, session: Session) -> Result<Carrier, LineError> {
        let number = self.next_carrier.fetch_add(1, Ordering::Relaxed);
        let connection = session.connection().clone();
        let carrier = Carrier::start(number, session)?;
        let socket = carrier.socket(connection, self.sieve.clone(), &self.ids.issue());
        let endpoint = quinn::Endpoint::new_with_abstract_socket(
            transport::engine(&self.ids),
            Some(self.acceptor.config.clone()),
            socket,
            Arc::new(TokioRuntime),
        )
        .map_err(|_| LineError::Ended)?;
        self.carriers.insert(carrier.clone(), endpoint.clone());
        let (acceptor, carriers) = (Arc::clone(&self.acceptor), Arc::clone(&self.carriers));
        let ended = carrier.clone();
        let mut loops = self.loops.lock().unwrap_or_else(PoisonError::into_inner);
        while loops.try_join_next().is_some() {}
        loops.spawn(async move {
            tokio::select! {
                () = acceptor.serve(&endpoint) => {}
                _ = ended.ended() => {}
            }
            carriers.remove(number);
            endpoint.close(CloseCode::Done.into(), &[]);
        });
        drop(loops);
        Ok(carrier)
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

    /// Where the sockets are really bound.
    pub fn local_addrs(&self) -> Vec<SocketAddr> {
        self.sockets
            .iter()
            .filter_map(|socket| socket.local_addr().ok())
            .collect()
    }

    /// What was counted so far.
    pub fn stats(&self) -> EndpointStats {
        EndpointStats {
            counters: self.counters.snapshot(),
            keys_ready: self.keys.ready(),
            keys_wanted: self.keys.wanted(),
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
        let reaches = |local: SocketAddr| {
            local.is_ipv4() == address.is_ipv4()
                && (local.ip().is_unspecified()
                    || local.ip().is_loopback() == address.ip().is_loopback())
        };
        self.sockets
            .iter()
            .find(|socket| socket.local_addr().is_ok_and(reaches))
            .cloned()
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Endpoint(..)")
    }
}

/// What is needed to call.
struct Caller {
    crypto: Arc<CryptoContext>,
    clock: Clock,
    transport: Arc<TransportConfig>,
    line_transport: Arc<TransportConfig>,
    tokens: Arc<dyn TokenStore>,
    greeting: Greeting,
    limit: Duration,
    counters: Arc<Counters>,
}

impl Caller {
    fn config(
        &self,
        credential: Credential,
        key: SessionKeyPair,
        purpose: Purpose,
    ) -> ClientConfig {
        // A token links the session that uses it to the one that it came from, so who calls as
        // nobody neither keeps nor shows any.
        let tokens: Arc<dyn TokenStore> = match credential {
            Credential::Identity(_) => Arc::clone(&self.tokens),
            Credential::Anonymous => Arc::new(NoneTokenStore),
        };
        let crypto = DialCrypto::new(Arc::clone(&self.crypto), credential, key);
        let day = self.clock.day();
        let transport = match purpose {
            Purpose::Line => &self.line_transport,
            Purpose::Peer | Purpose::Mailbox => &self.transport,
        };
        let mut config = ClientConfig::new(crypto);
        config
            .transport_config(Arc::clone(transport))
            .token_store(tokens)
            .initial_dst_cid_provider(Arc::new(move || first_destination(day)))
            .version(QUIC_VERSION);
        config
    }

    async fn complete(
        &self,
        connecting: quinn::Connecting,
        purpose: Purpose,
        as_nobody: bool,
    ) -> Result<Session, DialError> {
        let connection = connecting
            .await
            .map_err(|error| DialError::from_connection(&error))?;
        let counters = Arc::clone(&self.counters);
        let first = if as_nobody {
            Greeting::hello_of_nobody(purpose)
        } else {
            self.greeting.hello(purpose)
        };
        Session::open(connection.clone(), first, &self.greeting, counters)
            .await
            .map_err(|error| DialError::from_greeting(error, connection.close_reason().as_ref()))
    }
}

/// What handshakes on both sides need, with its failures counted.
fn crypto_context(
    circle: &Circle,
    provider: &'static dyn Provider,
    clock: &Clock,
    counters: &Arc<Counters>,
) -> Arc<CryptoContext> {
    let today = clock.clone();
    let context = CryptoContext::new(*circle.id(), provider, Arc::new(move || today.day()));
    Arc::new(context.observe_failures(count_failures(Arc::clone(counters))))
}

/// Everything that is built before anything is bound.
struct Builder {
    listen: Vec<SocketAddr>,
    only_to: Option<Arc<AllowList>>,
    obfuscator: Arc<Obfuscator>,
    gate: Arc<Gate>,
    ids: ConnectionIds,
    caller: Caller,
    acceptor: Arc<Acceptor>,
    accepted: mpsc::Receiver<Session>,
    keys: Arc<KeyPool>,
    counters: Arc<Counters>,
}

impl Builder {
    fn new(config: EndpointConfig) -> io::Result<Self> {
        let EndpointConfig {
            circle,
            clock,
            provider,
            limits,
            ..
        } = config;
        let own_id = config.posing_as;
        let own_id = own_id.unwrap_or_else(|| config.identity.peer_id(circle.id()));
        let ids = ConnectionIds::random(&mut UnwrapErr(getrandom::SysRng), clock.clone());
        let gate = Gate::new(*circle.id(), own_id, provider, ids.clone(), clock.clone());
        let gate = Arc::new(gate.dials_only(config.dials_only));
        let counters = Arc::new(Counters::new());
        let keys = Arc::new(KeyPool::start(config.key_pool_size, provider)?);
        let transport = Arc::new(transport::session(config.pad_to_mtu));
        let line_transport = Arc::new(transport::line(config.pad_to_mtu));
        let answering_transport = if config.relay {
            &line_transport
        } else {
            &transport
        };
        let used = Arc::new(UsedTokens::default());
        let token_key = TokenKey::random(provider, clock.clone(), Arc::clone(&used));
        let context = crypto_context(&circle, provider, &clock, &counters);
        let crypto = AnswerCrypto::posing_as(own_id, Arc::clone(&context), config.identity);
        let answering = transport::answering(
            Arc::clone(&crypto) as _,
            token_key,
            Arc::clone(&used),
            Arc::clone(answering_transport),
            clock.clone(),
        );
        let greeting = Greeting {
            clock: clock.clone(),
            version: config.version,
            cover: config.cover,
        };
        let (ready, accepted) = mpsc::channel(READY);
        let (burst, rate) = (limits.prefix_burst, limits.prefix_per_second);
        let prefixes = PrefixLimiter::new(burst, rate, clock.unix_ms());
        let replay = ReplayMemory::load(config.replay_log, config.replay_capacity, clock.unix_s())?;
        let acceptor = Acceptor {
            gate: Arc::clone(&gate),
            crypto,
            config: answering,
            keys: Arc::clone(&keys),
            replay,
            tokens: used,
            prefixes: Mutex::new(prefixes),
            turns: Arc::new(Semaphore::new(limits.turns.max(1))),
            in_flight: AtomicUsize::new(0),
            limits,
            counters: Arc::clone(&counters),
            greeting: greeting.clone(),
            ready,
            carriers: Arc::default(),
        };
        let caller = Caller {
            limit: acceptor.limits.handshake,
            crypto: context,
            clock,
            transport,
            line_transport,
            tokens: Arc::new(TokenMemoryCache::default()),
            greeting,
            counters: Arc::clone(&counters),
        };
        Ok(Self {
            listen: config.listen,
            only_to: config.only_to,
            obfuscator: Arc::new(Obfuscator::new(circle.packet_key(), provider)),
            gate,
            ids,
            caller,
            acceptor: Arc::new(acceptor),
            accepted,
            keys,
            counters,
        })
    }

    fn bind(self) -> io::Result<Endpoint> {
        let sockets = self
            .listen
            .iter()
            .map(|address| self.bind_socket(*address))
            .collect::<io::Result<Vec<_>>>()?;
        let mut loops = JoinSet::new();
        for socket in &sockets {
            loops.spawn(Arc::clone(&self.acceptor).run(socket.clone()));
        }
        Ok(Endpoint {
            carriers: Arc::clone(&self.acceptor.carriers),
            sieve: Sieve {
                obfuscator: self.obfuscator,
                gate: self.gate,
                counters: Arc::clone(&self.counters),
            },
            ids: self.ids,
            next_carrier: AtomicU32::new(1),
            sockets,
            caller: self.caller,
            acceptor: self.acceptor,
            accepted: AsyncMutex::new(self.accepted),
            closed: watch::Sender::new(false),
            keys: self.keys,
            counters: self.counters,
            loops: Mutex::new(loops),
        })
    }

    fn bind_socket(&self, address: SocketAddr) -> io::Result<quinn::Endpoint> {
        let socket = ObfuscatedSocket::new(
            socket::bind(address)?,
            Arc::clone(&self.obfuscator),
            Arc::clone(&self.gate),
            Arc::clone(&self.counters),
            &self.ids.issue(),
        )?;
        let socket = socket.only_to(self.only_to.clone());
        quinn::Endpoint::new_with_abstract_socket(
            transport::engine(&self.ids),
            Some(self.acceptor.config.clone()),
            Arc::new(socket),
            Arc::new(TokioRuntime),
        )
    }
}

fn count_failures(counters: Arc<Counters>) -> FailureObserver {
    Arc::new(move |error| {
        if let HandshakeError::Peer(_) = error {
            counters.count(Counter::HandshakeMisbehaved);
        }
    })
}
