//! What starts once the identity is open: store, engine, sockets, dialer.

use super::{Failure, Plan, mailbox};
use crate::api::{FailClosedTest, Readers, Ready};
use crate::clock::Clock;
use crate::config::{Config, IpMode};
use crate::counters::Counters;
use crate::doctor::FailClosed;
use crate::engine::{Bus, Engine, EngineHandle, LineSettings, LineWake, LookupWake, Parts};
use crate::lines::{LineCaller, LineKeeper, Outside};
use crate::lookup::{LookupParts, LookupTasks};
use crate::mailbox::server::{MailboxServer, ServerLimits};
use crate::mailbox::{MailTasks, Wake};
use crate::network::{self, AddressBudgets, Dialer, DialerHandle, Direct, Prober, SessionRunner};
use crate::ports;
use crate::reach::{Meeting, MeetingHandle, Meetings, Reachability};
use crate::store::{Store, StoreFile};
use m2_crypto::{Circle, Identity, PeerId, provider};
use m2_net::endpoint::{Endpoint, EndpointConfig, Limits};
use m2_net::line::relay::Relay;
use m2_net::replay::ReplayLog;
use m2_net::replay_file::ReplayFile;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// How long peers may take to hear that we go.
const CLOSE_DEADLINE: Duration = Duration::from_secs(2);

/// Opens a daemon as planned.
pub(super) struct Opener {
    config: Arc<Config>,
    circle: Circle,
    data_dir: PathBuf,
    listen_is_default: bool,
    stop: CancellationToken,
}

/// What must be closed in order at the end.
pub(super) struct Opened {
    engine: EngineHandle,
    thread: JoinHandle<()>,
    endpoint: Arc<Endpoint>,
}

/// What all tasks share.
struct Core {
    engine: EngineHandle,
    endpoint: Arc<Endpoint>,
    reach: Arc<Reachability>,
    direct: Direct,
    identity: Arc<Identity>,
    peer_id: PeerId,
    clock: Arc<Clock>,
    counters: Arc<Counters>,
}

impl Opener {
    /// Opens `plan` when it is time; its tasks end with `stop`.
    pub(super) fn new(plan: &Plan, stop: CancellationToken) -> Self {
        Self {
            config: Arc::new(plan.config.clone()),
            circle: plan.circle.clone(),
            data_dir: plan.data_dir.clone(),
            listen_is_default: plan.listen_is_default,
            stop,
        }
    }

    /// Opens everything and starts it. `unprotected`: the key file has no passphrase.
    pub(super) async fn open(
        &self,
        identity: Identity,
        unprotected: bool,
    ) -> Result<(Ready, Opened), Failure> {
        let identity = Arc::new(identity);
        let file = StoreFile::new(&self.data_dir, identity.store_key());
        let store = file.open()?;
        let clock = Arc::new(Clock::new(store.latest_time()?));
        let budgets = store.budgets(0)?;
        let endpoint = Arc::new(self.bind(&store, &identity, &clock)?);
        let orders = DialerHandle::default();
        let (meeting, meetings) = MeetingHandle::new();
        let announced = self.config.privacy.announce.clone();
        let reach = Arc::new(Reachability::new(
            endpoint.clone(),
            announced,
            self.config.is_loopback_only(),
        ));
        let bus = Arc::new(Bus::default());
        let counters = Arc::new(Counters::default());
        let engine = Engine::new(Parts {
            store,
            clock: clock.clone(),
            identity: identity.clone(),
            circle: self.circle.clone(),
            limits: self.config.store.clone(),
            mailbox: self.config.mailbox.clone(),
            lines: LineSettings {
                ip: self.config.privacy.ip,
                open: self.config.line.open,
                loopback_only: self.config.is_loopback_only(),
            },
            bus: bus.clone(),
            dialer: orders.clone(),
            meetings: meeting,
            counters: counters.clone(),
        })?;
        let incarnation = engine.log_incarnation();
        let (mail_wake, line_wake) = (engine.mailbox_wake(), engine.line_wake());
        let lookup_wake = engine.lookup_wake();
        let (handle, thread) = start_thread(engine).map_err(Failure::Runtime)?;
        let budgets = AddressBudgets::new(clock.clone(), handle.clone(), &budgets);
        let core = Core {
            peer_id: identity.peer_id(self.circle.id()),
            direct: Direct::new(endpoint.clone(), reach.clone(), budgets),
            engine: handle,
            endpoint,
            reach,
            identity,
            clock,
            counters,
        };
        let mailbox = self.serve_mailboxes(&core).await?;
        let relay = self.serve_lines(&core.endpoint);
        let runner = self.runner(&core, &mailbox, &relay);
        let (outside, lines) = self.start_sessions(&core, &runner, orders, line_wake);
        let lookup = self.start_lookup(&core, &lookup_wake);
        let prober = prober(&core, lines, lookup.clone());
        self.start_meetings(&core, runner, meetings);
        self.start_mail(&core, mail_wake);
        let opened = Opened {
            engine: core.engine.clone(),
            thread,
            endpoint: core.endpoint.clone(),
        };
        let ready = Ready {
            fail_closed: fail_closed(&outside, &core.endpoint),
            reach: core.reach,
            lookup,
            prober,
            certificate: core.identity.certificate().clone(),
            engine: core.engine,
            bus,
            readers: Readers::new(file),
            endpoint: core.endpoint,
            peer_id: core.peer_id,
            incarnation,
            counters: core.counters,
            mailbox,
            relay,
            config: self.config.clone(),
            warnings: warnings(unprotected, &self.circle),
        };
        Ok((ready, opened))
    }

    fn runner(
        &self,
        core: &Core,
        mailbox: &Option<Arc<MailboxServer>>,
        relay: &Option<Arc<Relay>>,
    ) -> Arc<SessionRunner> {
        let runner = SessionRunner::new(
            core.engine.clone(),
            core.clock.clone(),
            core.identity.clone(),
            core.peer_id,
            core.counters.clone(),
        );
        Arc::new(runner.serving(mailbox.clone()).relaying(relay.clone()))
    }

    /// Accepts sessions, dials contacts, and waits at our relays.
    fn start_sessions(
        &self,
        core: &Core,
        runner: &Arc<SessionRunner>,
        orders: DialerHandle,
        line_wake: Arc<LineWake>,
    ) -> (Arc<Outside>, Arc<LineCaller>) {
        let (endpoint, stop) = (core.endpoint.clone(), self.stop.clone());
        tokio::spawn(network::accept(endpoint, runner.clone(), stop));
        let outside = Arc::new(self.outside(core));
        let keeper = LineKeeper {
            engine: core.engine.clone(),
            outside: outside.clone(),
            inside: core.endpoint.clone(),
            reach: core.reach.clone(),
            key: core.identity.line_key(),
            clock: core.clock.clone(),
        };
        tokio::spawn(keeper.run(line_wake, self.stop.clone()));
        let (endpoint, clock) = (core.endpoint.clone(), core.clock.clone());
        let reach = core.reach.clone();
        let lines = Arc::new(LineCaller::new(
            outside.clone(),
            endpoint,
            reach,
            core.direct.clone(),
            clock,
        ));
        let dialer = Dialer::new(
            orders,
            core.direct.clone(),
            core.engine.clone(),
            runner.clone(),
            core.identity.clone(),
            lines.clone(),
        );
        tokio::spawn(dialer.run(self.stop.clone()));
        (outside, lines)
    }

    fn start_lookup(&self, core: &Core, wake: &Arc<LookupWake>) -> LookupParts {
        let tasks = LookupTasks {
            engine: core.engine.clone(),
            reach: core.reach.clone(),
            clock: core.clock.clone(),
            config: self.config.lookup.clone(),
            mode: self.config.privacy.ip,
        };
        tasks.start(wake, &self.stop)
    }

    /// Looks for direct paths, unless there is to be none.
    fn start_meetings(
        &self,
        core: &Core,
        runner: Arc<SessionRunner>,
        waiting: mpsc::Receiver<Meeting>,
    ) {
        if self.config.privacy.ip != IpMode::Direct {
            return;
        }
        let meetings = Meetings {
            endpoint: core.endpoint.clone(),
            direct: core.direct.clone(),
            runner,
            identity: core.identity.clone(),
            reach: core.reach.clone(),
        };
        tokio::spawn(meetings.run(waiting, self.stop.clone()));
    }

    /// Collects and deposits letters, unless providers may not learn our address (spec §7).
    fn start_mail(&self, core: &Core, wake: Arc<Wake>) {
        if self.config.privacy.ip == IpMode::LineOnly {
            return;
        }
        let mail = MailTasks {
            engine: core.engine.clone(),
            endpoint: core.endpoint.clone(),
            direct: core.direct.clone(),
            identity: core.identity.clone(),
            circle: self.circle.clone(),
            own_id: core.peer_id,
            clock: core.clock.clone(),
            counters: core.counters.clone(),
            listen: self.config.network.listen.clone(),
            pads: self.config.privacy.pads(),
        };
        mail.start(wake, &self.stop);
    }

    /// The relay role, if the configuration asks for it.
    fn serve_lines(&self, endpoint: &Arc<Endpoint>) -> Option<Arc<Relay>> {
        let config = &self.config.relay;
        config.serve.then(|| {
            let relay = Relay::new(config.limits(), endpoint);
            tokio::spawn(Arc::clone(&relay).keep_house());
            relay
        })
    }

    fn outside(&self, core: &Core) -> Outside {
        Outside::new(
            &core.endpoint,
            self.circle.clone(),
            core.identity.clone(),
            core.clock.clone(),
            self.config.network.listen.clone(),
            self.config.privacy.pads(),
            self.config.privacy.ip,
        )
    }

    /// The mailbox role, if the configuration asks for it.
    async fn serve_mailboxes(&self, core: &Core) -> Result<Option<Arc<MailboxServer>>, Failure> {
        let config = &self.config.mailbox;
        if !config.serve {
            return Ok(None);
        }
        let store = mailbox::open_store(config, &self.data_dir, &core.identity).await?;
        let server = MailboxServer::new(
            store,
            core.engine.clone(),
            core.clock.clone(),
            core.counters.clone(),
            ServerLimits::of(config),
        );
        let server = Arc::new(server);
        tokio::spawn(server.clone().keep_house(self.stop.clone()));
        Ok(Some(server))
    }

    fn bind(
        &self,
        store: &Store,
        identity: &Arc<Identity>,
        clock: &Arc<Clock>,
    ) -> Result<Endpoint, Failure> {
        let network = &self.config.network;
        let line_only = self.config.privacy.ip == IpMode::LineOnly;
        let listen = if line_only {
            // An answer to a direct call would tell where we are (spec §7).
            Vec::new()
        } else {
            ports::choose(store, &network.listen, self.listen_is_default)?
        };
        let mut config = EndpointConfig::new(self.circle.clone(), identity.clone());
        config.listen = listen;
        config.provider = provider::default();
        config.key_pool_size = self.config.session_keys();
        let source = clock.clone();
        config.clock = m2_net::clock::Clock::new(move || source.now_ms());
        config.pad_to_mtu = self.config.privacy.pads();
        config.relay = self.config.relay.serve;
        config.cover = self.config.privacy.covers();
        config.replay_log = self.replay_log()?;
        env!("CARGO_PKG_VERSION").clone_into(&mut config.version);
        config.limits = Limits {
            turns: network.handshakes as usize,
            sessions: self.config.max_sessions(),
            ..Limits::default()
        };
        let endpoint = Endpoint::bind(config).map_err(Failure::Bind)?;
        ports::remember(store, &endpoint.local_addrs())?;
        Ok(endpoint)
    }

    /// Where accepted calls are written down. A relay writes nothing down of who uses it (spec §7):
    /// it remembers them as long as it runs.
    fn replay_log(&self) -> Result<Option<Box<dyn ReplayLog>>, Failure> {
        if self.config.relay.serve {
            return Ok(None);
        }
        let log = ReplayFile::open(&self.data_dir.join("replay.log"));
        let log = log.map_err(|source| Failure::DataDir {
            path: self.data_dir.clone(),
            source,
        })?;
        Ok(Some(Box::new(log)))
    }
}

impl Opened {
    /// Ends sessions, lets the engine finish what it has, and waits for it.
    pub(super) async fn close(self) {
        self.endpoint.close(CLOSE_DEADLINE).await;
        let stopping = self.engine.cast(Engine::stop).await;
        if stopping.is_err() {
            tracing::warn!("the engine was gone before the daemon stopped");
        }
        let joined = tokio::task::spawn_blocking(move || self.thread.join()).await;
        if !matches!(joined, Ok(Ok(()))) {
            tracing::error!("the engine ended in disorder");
        }
    }
}

fn start_thread(engine: Engine) -> io::Result<(EngineHandle, JoinHandle<()>)> {
    let (handle, jobs) = Engine::queue();
    let thread = std::thread::Builder::new()
        .name("m2d-engine".to_owned())
        .spawn(move || {
            if let Err(error) = engine.run(jobs) {
                tracing::error!(%error, "the engine can't run");
            }
        })?;
    Ok((handle, thread))
}

/// Who tries all ways to a contact when the user asks.
fn prober(core: &Core, lines: Arc<LineCaller>, lookup: LookupParts) -> Arc<Prober> {
    Arc::new(Prober {
        engine: core.engine.clone(),
        direct: core.direct.clone(),
        lines,
        lookup,
        clock: core.clock.clone(),
    })
}

/// Tells whether line-only mode holds.
fn fail_closed(outside: &Arc<Outside>, endpoint: &Arc<Endpoint>) -> FailClosedTest {
    let (outside, endpoint) = (outside.clone(), endpoint.clone());
    Arc::new(move || {
        let (outside, endpoint) = (outside.clone(), endpoint.clone());
        Box::pin(async move {
            match outside.holds_back().await {
                None => FailClosed::NotInForce,
                Some(true) if endpoint.local_addrs().is_empty() => FailClosed::Holds,
                Some(_) => FailClosed::Broken,
            }
        })
    })
}

fn warnings(unprotected: bool, circle: &Circle) -> Vec<String> {
    let mut warnings = Vec::new();
    if unprotected {
        warnings
            .push("The identity has no passphrase: who can read its key file is you.".to_owned());
    }
    if circle.is_public() {
        tracing::debug!("this is the public circle: its packet key is well known");
    }
    warnings
}
