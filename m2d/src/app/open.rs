//! Opens the daemon once the identity is open: store, engine, sockets, dialer.

use super::engine::{self, StartedEngine};
use super::running::RunningDaemon;
use super::{Failure, OpenKey, Plan, mailbox, settings};
use crate::access::{self, Access};
use crate::api::{FailClosedTest, Readers, Ready};
use crate::backup::{self, Backups};
use crate::config::{Config, IpMode};
use crate::connect::{self, AddressBudgets, Direct, EndpointFactory};
use crate::dialling::{Dialer, DialerHandle, Prober};
use crate::doctor::FailClosed;
use crate::driver::{EngineHandle, LookupWake};
use crate::lines::{LineDialer, LineKeeper, RelaySockets};
use crate::lookup::{LookupParts, LookupTasks};
use crate::mailbox::{MailTasks, Wake};
use crate::network::{self, Links, SessionRunner};
use crate::ports;
use crate::punching::{HolePuncher, HolePuncherHandle, PunchRequest};
use crate::reach::Reachability;
use crate::tasks::Tasks;
use m2_crypto::{Circle, Identity, PeerId};
use m2_engine::clock::Clock;
use m2_engine::{Parts, Tunable, WantedLines, Warning};
use m2_limits::counters::Counters;
use m2_mailbox::server::MailboxServer;
use m2_net::callers::Callers;
use m2_net::endpoint::{Endpoint, Limits};
use m2_net::replay::ReplayLog;
use m2_net::replay_file::ReplayFile;
use m2_net::suites::{HigherSuite, LeastSuites};
use m2_relay::Relay;
use m2_store::{Store, StoreFile};
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

/// Opens a daemon according to its plan.
pub(super) struct Startup {
    config: Arc<Config>,
    circle: Circle,
    data_dir: PathBuf,
    listen_is_default: bool,
    access: Arc<Access>,
    /// The settings of the engine that a reload changes.
    tunable: watch::Receiver<Tunable>,
    tasks: Tasks,
    stop: CancellationToken,
}

/// The parts that all tasks share.
struct Core {
    engine: EngineHandle,
    endpoint: Arc<Endpoint>,
    reach: Arc<Reachability>,
    direct: Direct,
    identity: Arc<Identity>,
    peer_id: PeerId,
    clock: Arc<Clock>,
    links: Arc<Links>,
    counters: Arc<Counters>,
    suites: Arc<LeastSuites>,
}

/// The parts that are opened before any task starts.
struct Opened {
    core: Core,
    started: StartedEngine,
    /// The orders of the engine to the dialer.
    orders: DialerHandle,
    punch_requests: mpsc::Receiver<PunchRequest>,
    /// The peers whose sessions used a higher suite than before.
    higher_suites: mpsc::Receiver<HigherSuite>,
    /// Warnings for the user.
    warnings: Vec<Warning>,
}

impl Startup {
    /// Returns an opener for `plan`. Its tasks end when `stop` is cancelled.
    pub(super) fn new(
        plan: &Plan,
        (access, tunable): (Arc<Access>, watch::Receiver<Tunable>),
        tasks: Tasks,
        stop: CancellationToken,
    ) -> Self {
        Self {
            tunable,
            config: Arc::new(plan.config.clone()),
            circle: plan.circle.clone(),
            data_dir: plan.data_dir.clone(),
            listen_is_default: plan.listen_is_default,
            access,
            tasks,
            stop,
        }
    }

    /// Opens everything and starts all tasks.
    pub(super) async fn open(&self, mut key: OpenKey) -> Result<(Ready, RunningDaemon), Failure> {
        let file = StoreFile::new(&self.data_dir, key.identity.store_key());
        let Opened {
            core,
            started,
            orders,
            punch_requests,
            higher_suites,
            warnings,
        } = self.open_core(&file, &mut key)?;
        let wakes = started.wakes;
        let stop = self.stop.clone();
        let storing = engine::store_suites(core.engine.clone(), higher_suites, stop);
        self.tasks.helper("suites", storing);
        let (access, engine) = (self.access.clone(), core.engine.clone());
        let storing = access::store_uses(access, engine, self.stop.clone());
        self.tasks.helper("uses of tokens", storing);
        self.follow_settings(&core);
        let mailbox = self.serve_mailboxes(&core).await?;
        let relay = self.serve_lines(&core.endpoint);
        let runner = self.runner(&core, &mailbox, &relay);
        let (relay_sockets, lines) =
            self.start_sessions(&core, &runner, orders, wakes.lines.subscribe());
        let lookup = self.start_lookup(&core, &wakes.lookup);
        let prober = prober(&core, lines, lookup.clone());
        self.start_hole_puncher(&core, runner, punch_requests);
        self.start_mail(&core, wakes.mail.clone());
        let backups = self.backups(&core, &file, &key);
        let readers = Readers::new(file);
        let opened = RunningDaemon {
            engine: core.engine.clone(),
            thread: started.thread,
            endpoint: core.endpoint.clone(),
            readers: readers.clone(),
        };
        let ready = Ready {
            fail_closed: fail_closed(&relay_sockets, &core.endpoint),
            reach: core.reach,
            lookup,
            prober,
            certificate: core.identity.certificate().clone(),
            engine: core.engine,
            bus: started.bus,
            links: core.links,
            wakes,
            readers,
            endpoint: core.endpoint,
            peer_id: core.peer_id,
            incarnation: started.incarnation,
            counters: core.counters,
            mailbox,
            relay,
            config: self.config.clone(),
            backups: Arc::new(backups),
            warnings,
            tasks: self.tasks.clone(),
        };
        Ok((ready, opened))
    }

    /// Opens the store and the sockets, and starts the engine.
    fn open_core(&self, file: &StoreFile, key: &mut OpenKey) -> Result<Opened, Failure> {
        let identity = key.identity.clone();
        let store = file.open()?;
        let warnings = key.join_store(&self.data_dir, &store)?;
        let clock = Arc::new(Clock::new(store.latest_time()?));
        self.access.tokens.open(&clock, store.access_tokens()?);
        let (orders, callers) = (DialerHandle::default(), Arc::new(Callers::default()));
        let budgets = store.budgets(0)?;
        let (suites, higher_suites) = LeastSuites::new();
        let suites = Arc::new(suites);
        let endpoints = self.endpoints(&identity, &clock, &suites);
        let endpoint = Arc::new(self.bind(&store, &endpoints, &callers)?);
        let (hole_puncher, punch_requests) = HolePuncherHandle::new();
        let reach = self.reachability(&endpoint);
        let counters = Arc::new(Counters::default());
        let parts = Parts {
            store,
            clock: clock.clone(),
            identity: identity.clone(),
            circle: self.circle.clone(),
            settings: settings::of(&self.config, self.tunable.borrow().clone()),
            counters: counters.clone(),
        };
        let told = (orders.clone(), hole_puncher);
        let tables = (callers, suites.clone(), self.access.clone());
        let started = engine::start(parts, told, tables, &self.tasks)?;
        let engine = started.handle.clone();
        let budgets = AddressBudgets::new(clock.clone(), engine.clone(), &budgets);
        let core = Core {
            peer_id: identity.peer_id(self.circle.id()),
            direct: Direct::new(endpoint.clone(), reach.clone(), budgets),
            engine,
            endpoint,
            reach,
            identity,
            clock,
            links: started.links.clone(),
            counters,
            suites,
        };
        Ok(Opened {
            core,
            started,
            orders,
            punch_requests,
            higher_suites,
            warnings,
        })
    }

    fn follow_settings(&self, core: &Core) {
        let (engine, stop) = (core.engine.clone(), self.stop.clone());
        let following = settings::follow(engine, self.tunable.clone(), stop);
        self.tasks.helper("settings", following);
    }

    fn reachability(&self, endpoint: &Arc<Endpoint>) -> Arc<Reachability> {
        let announced = self.config.privacy.announce.clone();
        let alone = self.config.is_loopback_only();
        Arc::new(Reachability::new(endpoint.clone(), announced, alone))
    }

    fn backups(&self, core: &Core, store: &StoreFile, key: &OpenKey) -> Backups {
        let subject = backup::Subject {
            identity: core.identity.clone(),
            key_file: key.text(),
            is_encrypted: key.is_encrypted(),
            peer_id: core.peer_id,
            circle: self.config.circle.name.clone(),
        };
        Backups::new(&self.data_dir, store.clone(), subject, self.stop.clone())
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
            core.links.clone(),
            core.counters.clone(),
        );
        Arc::new(runner.serving(mailbox.clone()).relaying(relay.clone()))
    }

    /// Accepts sessions, dials contacts, and listens at the daemon's own relays.
    fn start_sessions(
        &self,
        core: &Core,
        runner: &Arc<SessionRunner>,
        orders: DialerHandle,
        wanted_lines: watch::Receiver<Option<WantedLines>>,
    ) -> (Arc<RelaySockets>, Arc<LineDialer>) {
        let (endpoint, stop) = (core.endpoint.clone(), self.stop.clone());
        let accepting = network::accept(endpoint, runner.clone(), stop);
        self.tasks.essential("accepting sessions", accepting);
        let endpoint = core.endpoint.clone();
        self.tasks
            .essential("network sockets", async move { endpoint.ended().await });
        let relay_sockets = Arc::new(self.relay_sockets(core));
        let keeper = LineKeeper {
            engine: core.engine.clone(),
            relay_sockets: relay_sockets.clone(),
            inside: core.endpoint.clone(),
            reach: core.reach.clone(),
            key: core.identity.line_key(),
        };
        let keeper = keeper.run(wanted_lines, self.stop.clone());
        self.tasks.helper("lines", keeper);
        let (endpoint, clock) = (core.endpoint.clone(), core.clock.clone());
        let reach = core.reach.clone();
        let lines = Arc::new(LineDialer::new(
            relay_sockets.clone(),
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
        self.tasks
            .essential("dialing contacts", dialer.run(self.stop.clone()));
        (relay_sockets, lines)
    }

    fn start_lookup(&self, core: &Core, wake: &Arc<LookupWake>) -> LookupParts {
        let tasks = LookupTasks {
            engine: core.engine.clone(),
            links: core.links.clone(),
            reach: core.reach.clone(),
            clock: core.clock.clone(),
            config: self.config.lookup.clone(),
            mode: self.config.privacy.ip,
        };
        tasks.start(wake, &self.tasks, &self.stop)
    }

    /// Starts the search for direct paths, if the profile allows them.
    fn start_hole_puncher(
        &self,
        core: &Core,
        runner: Arc<SessionRunner>,
        requests: mpsc::Receiver<PunchRequest>,
    ) {
        if self.config.privacy.ip != IpMode::Direct {
            return;
        }
        let hole_puncher = HolePuncher {
            endpoint: core.endpoint.clone(),
            direct: core.direct.clone(),
            runner,
            identity: core.identity.clone(),
            reach: core.reach.clone(),
        };
        let hole_puncher = hole_puncher.run(requests, self.stop.clone());
        self.tasks.helper("direct paths", hole_puncher);
    }

    /// Collects and deposits letters, except in line-only mode: providers see a daemon's address.
    fn start_mail(&self, core: &Core, wake: Arc<Wake>) {
        if self.config.privacy.ip == IpMode::LineOnly {
            return;
        }
        let mail = MailTasks {
            engine: core.engine.clone(),
            endpoint: core.endpoint.clone(),
            direct: core.direct.clone(),
            identity: core.identity.clone(),
            endpoints: self.endpoints(&core.identity, &core.clock, &core.suites),
            own_id: core.peer_id,
            clock: core.clock.clone(),
            counters: core.counters.clone(),
            listen: self.config.network.listen.clone(),
        };
        mail.start(wake, &self.tasks, &self.stop);
    }

    /// Starts the relay role if the configuration enables it.
    fn serve_lines(&self, endpoint: &Arc<Endpoint>) -> Option<Arc<Relay>> {
        let config = &self.config.relay;
        config.serve.then(|| {
            let relay = Relay::new(config.limits(), endpoint);
            self.tasks
                .helper("relay", Arc::clone(&relay).run_maintenance());
            relay
        })
    }

    /// Returns the factory of this daemon's endpoints.
    fn endpoints(
        &self,
        identity: &Arc<Identity>,
        clock: &Arc<Clock>,
        suites: &Arc<LeastSuites>,
    ) -> EndpointFactory {
        EndpointFactory {
            circle: self.circle.clone(),
            identity: identity.clone(),
            clock: clock.clone(),
            pads: self.config.privacy.pads(),
            suites: suites.clone(),
        }
    }

    fn relay_sockets(&self, core: &Core) -> RelaySockets {
        RelaySockets::new(
            &core.endpoint,
            self.endpoints(&core.identity, &core.clock, &core.suites),
            self.config.network.listen.clone(),
            self.config.privacy.ip,
        )
    }

    /// Starts the mailbox role if the configuration enables it.
    async fn serve_mailboxes(&self, core: &Core) -> Result<Option<Arc<MailboxServer>>, Failure> {
        let config = &self.config.mailbox;
        if !config.serve {
            return Ok(None);
        }
        let store = mailbox::open_store(config, &self.data_dir, &core.identity).await?;
        let server = MailboxServer::new(
            store,
            Arc::new(core.engine.clone()),
            connect::network_clock(&core.clock),
            core.counters.clone(),
            mailbox::limits(config),
        );
        let server = Arc::new(server);
        self.tasks.helper(
            "mailbox server",
            server.clone().run_maintenance(self.stop.clone()),
        );
        Ok(Some(server))
    }

    fn bind(
        &self,
        store: &Store,
        endpoints: &EndpointFactory,
        callers: &Arc<Callers>,
    ) -> Result<Endpoint, Failure> {
        let network = &self.config.network;
        let line_only = self.config.privacy.ip == IpMode::LineOnly;
        let listen = if line_only {
            // The response to a direct dial would reveal this daemon's address.
            Vec::new()
        } else {
            ports::choose(store, &network.listen, self.listen_is_default)?
        };
        let mut config = endpoints.config(listen, self.config.session_keys());
        config.relay = self.config.relay.serve;
        config.cover = self.config.privacy.covers();
        config.replay_log = self.replay_log()?;
        config.callers = Arc::clone(callers);
        config.limits = Limits {
            turns: network.handshakes as usize,
            sessions: self.config.max_sessions(),
            ..Limits::default()
        };
        let endpoint = Endpoint::bind(config).map_err(Failure::Bind)?;
        ports::remember(store, &endpoint.local_addrs())?;
        Ok(endpoint)
    }

    /// Opens the persistent log of accepted dials. A relay keeps them in memory only: it records
    /// nothing about its users on disk.
    fn replay_log(&self) -> Result<Option<Box<dyn ReplayLog>>, Failure> {
        if self.config.relay.serve {
            return Ok(None);
        }
        let path = self.data_dir.join("replay.log");
        match ReplayFile::open(&path) {
            Ok(log) => Ok(Some(Box::new(log))),
            Err(source) => Err(Failure::DataDir { path, source }),
        }
    }
}

/// Returns the prober, which tries all ways to a contact at the user's request.
fn prober(core: &Core, lines: Arc<LineDialer>, lookup: LookupParts) -> Arc<Prober> {
    Arc::new(Prober {
        engine: core.engine.clone(),
        direct: core.direct.clone(),
        lines,
        lookup,
        clock: core.clock.clone(),
    })
}

/// Returns the test of whether line-only mode holds.
fn fail_closed(relay_sockets: &Arc<RelaySockets>, endpoint: &Arc<Endpoint>) -> FailClosedTest {
    let (relay_sockets, endpoint) = (relay_sockets.clone(), endpoint.clone());
    Arc::new(move || {
        let (relay_sockets, endpoint) = (relay_sockets.clone(), endpoint.clone());
        Box::pin(async move {
            match relay_sockets.holds_back().await {
                None => FailClosed::NotInForce,
                Some(true) if endpoint.local_addrs().is_empty() => FailClosed::Holds,
                Some(_) => FailClosed::Broken,
            }
        })
    })
}
