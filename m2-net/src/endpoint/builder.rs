//! Builds an endpoint from its configuration.

use super::caller::Caller;
use super::{Endpoint, EndpointConfig};
use crate::acceptor::{Acceptor, Queues};
use crate::allow_list::AllowList;
use crate::canary::Canary;
use crate::clock::Clock;
use crate::counters::{Counter, Counters};
use crate::engines::{EngineConfig, Engines};
use crate::key_pool::KeyPool;
use crate::limits::Limits;
use crate::quic_crypto::{AnswerCrypto, CryptoContext, FailureObserver};
use crate::replay_memory::ReplayMemory;
use crate::retry_token::{RetryTokens, TokenKey};
use crate::session::{HelloTemplate, Session};
use crate::socket::{self, Medium};
use crate::suites::LeastSuites;
use crate::transport::{self, Transports};
use m2_crypto::handshake::HandshakeError;
use m2_crypto::{Circle, Provider};
use m2_limits::prefix_limit::PrefixLimiter;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, AtomicUsize};
use std::sync::{Arc, Mutex};
use tokio::sync::{Mutex as AsyncMutex, mpsc, watch};
use tokio::task::JoinSet;

/// Accepted sessions that wait for [`Endpoint::accept`].
const READY: usize = 64;

/// Everything that is built before the sockets are bound.
pub(super) struct Builder {
    listen: Vec<SocketAddr>,
    only_to: Option<Arc<AllowList>>,
    engines: Arc<EngineConfig>,
    caller: Caller,
    acceptor: Arc<Acceptor>,
    accepted: mpsc::Receiver<Session>,
    keys: Arc<KeyPool>,
    counters: Arc<Counters>,
}

impl Builder {
    /// Builds everything except the sockets.
    pub(super) fn new(config: EndpointConfig) -> io::Result<Self> {
        let (circle, clock, provider) = (config.circle, config.clock, config.provider);
        let own_id = config
            .impersonating
            .unwrap_or_else(|| config.identity.peer_id(circle.id()));
        let replay = ReplayMemory::load(config.replay_log, config.replay_capacity, clock.unix_s())?;
        let replay = Arc::new(replay);
        let retries = RetryTokens::random(provider, clock.clone(), Arc::clone(&replay));
        let counters = Arc::new(Counters::new());
        let engines = EngineConfig::new(&circle, own_id, provider, &clock, &counters, |gate| {
            gate.dials_only(config.dials_only)
                .retries(Arc::clone(&retries))
                .callers(Arc::clone(&config.callers))
        });
        // A relay dials on behalf of parties, and then only once.
        let engines = engines.retransmits(!config.relay);
        let keys = match config.shared_keys {
            Some(shared) => shared,
            None => Arc::new(KeyPool::start(config.key_pool_size, provider)?),
        };
        let transports = Transports::new(config.relay, config.pad_to_mtu);
        let context = crypto_context(&circle, provider, &clock, &counters, &config.suites);
        let crypto = AnswerCrypto::impersonating(own_id, Arc::clone(&context), config.identity);
        let (proven, answered) = (TokenKey(retries), transports.answering());
        let answering =
            transport::answering(Arc::clone(&crypto) as _, proven, answered, clock.clone());
        let (suites, cover) = (config.suites, config.cover);
        let greeting = HelloTemplate::new(clock.clone(), config.version, cover, suites);
        let (ready, accepted) = mpsc::channel(READY);
        let acceptor = Acceptor {
            gate: Arc::clone(engines.accepting_gate()),
            crypto,
            config: answering,
            keys: Arc::clone(&keys),
            replay,
            callers: config.callers,
            crossing: Arc::default(),
            own_id,
            decided: Mutex::default(),
            prefixes: Mutex::new(prefix_limiter(&config.limits, clock.unix_ms())),
            queues: Queues::new(config.limits.turns),
            in_flight: AtomicUsize::new(0),
            limits: config.limits,
            counters: Arc::clone(&counters),
            greeting,
            ready,
            carriers: Arc::default(),
        };
        let caller = caller(&acceptor, context, clock, transports);
        Ok(Self {
            listen: config.listen,
            only_to: config.only_to,
            engines: Arc::new(engines),
            caller,
            acceptor: Arc::new(acceptor),
            accepted,
            keys,
            counters,
        })
    }

    /// Binds the sockets and starts to accept.
    pub(super) fn bind(self) -> io::Result<Endpoint> {
        let sockets = self
            .listen
            .iter()
            .map(|address| self.bind_socket(*address).map(Arc::new))
            .collect::<io::Result<Vec<_>>>()?;
        let mut loops = JoinSet::new();
        let canary = Canary::default();
        for socket in &sockets {
            let accepting = Arc::clone(&self.acceptor).run(socket.accepting().clone());
            let guard = canary.guard();
            loops.spawn(async move {
                let _guard = guard;
                accepting.await;
            });
        }
        Ok(Endpoint {
            carriers: Arc::clone(&self.acceptor.carriers),
            engine_config: self.engines,
            next_carrier: AtomicU32::new(1),
            sockets,
            caller: self.caller,
            acceptor: self.acceptor,
            accepted: AsyncMutex::new(self.accepted),
            closed: watch::Sender::new(false),
            keys: self.keys,
            counters: self.counters,
            loops: Mutex::new(loops),
            canary,
        })
    }

    fn bind_socket(&self, address: SocketAddr) -> io::Result<Engines> {
        let bound = socket::bind(address)
            .map_err(|error| io::Error::new(error.kind(), format!("{address}: {error}")))?;
        let medium = Medium::network(bound, self.only_to.clone());
        Engines::start(
            Arc::clone(&self.engines),
            self.acceptor.config.clone(),
            medium,
        )
    }
}

fn prefix_limiter(limits: &Limits, now_ms: u64) -> PrefixLimiter {
    PrefixLimiter::new(limits.prefix_burst, limits.prefix_per_second, now_ms)
}

/// Returns the dialling half, which shares its tables with the accepting one.
fn caller(
    acceptor: &Acceptor,
    crypto: Arc<CryptoContext>,
    clock: Clock,
    transports: Transports,
) -> Caller {
    Caller {
        crypto,
        clock,
        transports,
        callers: Arc::clone(&acceptor.callers),
        crossing: Arc::clone(&acceptor.crossing),
        kept: Arc::default(),
        greeting: acceptor.greeting.clone(),
        limit: acceptor.limits.handshake,
        counters: Arc::clone(&acceptor.counters),
    }
}

/// Returns the context of handshakes in both directions, with their failures counted.
fn crypto_context(
    circle: &Circle,
    provider: &'static dyn Provider,
    clock: &Clock,
    counters: &Arc<Counters>,
    suites: &Arc<LeastSuites>,
) -> Arc<CryptoContext> {
    let today = clock.clone();
    let context = CryptoContext::new(*circle.id(), provider, Arc::new(move || today.day()));
    let context = context.observe_failures(count_failures(Arc::clone(counters)));
    Arc::new(context.suites(Arc::clone(suites)))
}

fn count_failures(counters: Arc<Counters>) -> FailureObserver {
    Arc::new(move |error| {
        if let HandshakeError::Peer(_) = error {
            counters.count(Counter::HandshakeMisbehaved);
        }
    })
}
