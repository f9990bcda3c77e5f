//! The node of the DHT: started for the first job, stopped when there was none for a while.

use super::{DhtConfig, DhtError, DhtInfo};
use futures_util::future::BoxFuture;
use mainline::async_dht::AsyncDht;
use mainline::{Config, DEFAULT_BOOTSTRAP_NODES};
use std::future::pending;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::lookup_host;
use tokio::sync::mpsc;
use tokio::task::{JoinError, JoinSet, spawn_blocking};
use tokio::time::{Instant, sleep, sleep_until, timeout};

/// What a node is used for. It is told when there is none.
pub(super) type Job = Box<dyn FnOnce(Result<AsyncDht, DhtError>) -> BoxFuture<'static, ()> + Send>;

/// Jobs at one time.
const MAX_JOBS: usize = 8;
/// No node gets older, unless a job takes long: after 15 minutes it would make itself a server.
const MAX_AGE: Duration = Duration::from_secs(10 * 60);
/// Nodes that are remembered to begin with. `mainline` asks all of them at each query until it
/// knows more nodes than there are, so they are few.
const MAX_KNOWN: usize = 12;
/// Addresses of bootstrap nodes that are used.
const MAX_BOOTSTRAP: usize = 8;
/// How long the names of bootstrap nodes are looked up.
const RESOLVE: Duration = Duration::from_secs(5);
/// How often a port is asked for that the node before may still have, and how long it is waited
/// in between.
const BINDS: u32 = 20;
const BIND_PAUSE: Duration = Duration::from_millis(50);

/// Owns the node.
pub(super) struct Keeper {
    config: DhtConfig,
    info: Arc<Mutex<DhtInfo>>,
    node: Option<Node>,
    /// What runs. A job ends with the nodes that were known then.
    running: JoinSet<Vec<SocketAddrV4>>,
}

struct Node {
    dht: AsyncDht,
    since: Instant,
    used: Instant,
}

impl Keeper {
    pub(super) fn new(config: DhtConfig, info: Arc<Mutex<DhtInfo>>) -> Self {
        Self {
            config,
            info,
            node: None,
            running: JoinSet::new(),
        }
    }

    /// Until nobody can ask any more.
    pub(super) async fn run(mut self, mut jobs: mpsc::Receiver<Job>) {
        loop {
            let stops_at = self.stops_at();
            tokio::select! {
                job = jobs.recv(), if self.takes_jobs() => match job {
                    Some(job) => self.begin(job).await,
                    None => return,
                },
                Some(ended) = self.running.join_next() => self.ended(ended),
                () = idle_until(stops_at) => self.stop(),
            }
        }
    }

    /// A node that is too old gets no more work, and so comes to its end.
    fn takes_jobs(&self) -> bool {
        let is_old = |node: &Node| node.since.elapsed() >= MAX_AGE;
        self.running.len() < MAX_JOBS && !self.node.as_ref().is_some_and(is_old)
    }

    fn stops_at(&self) -> Option<Instant> {
        let node = self.node.as_ref().filter(|_| self.running.is_empty())?;
        Some((node.used + self.config.linger).min(node.since + MAX_AGE))
    }

    async fn begin(&mut self, job: Job) {
        match self.node().await {
            Ok(dht) => {
                self.running.spawn(async move {
                    job(Ok(dht.clone())).await;
                    let known = dht.to_bootstrap().await;
                    known.iter().filter_map(|one| one.parse().ok()).collect()
                });
            }
            Err(error) => job(Err(error)).await,
        }
    }

    async fn node(&mut self) -> Result<AsyncDht, DhtError> {
        if let Some(node) = &mut self.node {
            node.used = Instant::now();
            return Ok(node.dht.clone());
        }
        let bootstrap = self.bootstrap().await?;
        let dht = start(&self.config, bootstrap).await?;
        self.node = Some(Node {
            dht: dht.clone(),
            since: Instant::now(),
            used: Instant::now(),
        });
        self.tell(|info| info.awake = true);
        Ok(dht)
    }

    /// Where the next node begins.
    async fn bootstrap(&self) -> Result<Vec<SocketAddrV4>, DhtError> {
        let mut nodes = resolve(self.config.bootstrap.as_deref()).await;
        self.tell(|info| nodes.extend(info.known.iter().take(MAX_KNOWN)));
        if nodes.is_empty() {
            return Err(DhtError::NoBootstrap);
        }
        Ok(nodes)
    }

    fn ended(&mut self, ended: Result<Vec<SocketAddrV4>, JoinError>) {
        let Ok(known) = ended else {
            // The thread behind it is gone: `mainline` panics then.
            tracing::debug!("the DHT node broke");
            self.stop();
            return;
        };
        if let Some(node) = &mut self.node {
            node.used = Instant::now();
        }
        self.tell(|info| {
            info.nodes = known.len();
            if !known.is_empty() {
                // From all over the table, which is in order of distance.
                let step = known.len().div_ceil(MAX_KNOWN);
                info.known = known.into_iter().step_by(step).collect();
            }
        });
    }

    /// Its thread ends when nothing refers to it any more.
    fn stop(&mut self) {
        self.node = None;
        self.tell(|info| info.awake = false);
    }

    fn tell(&self, change: impl FnOnce(&mut DhtInfo)) {
        let mut info = self.info.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut info);
    }
}

async fn idle_until(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => pending().await,
    }
}

/// The IPv4 addresses of bootstrap nodes, as far as they have any.
async fn resolve(names: Option<&[String]>) -> Vec<SocketAddrV4> {
    let well_known = || DEFAULT_BOOTSTRAP_NODES.map(str::to_owned).to_vec();
    let names = names.map_or_else(well_known, <[String]>::to_vec);
    let mut lookups = JoinSet::new();
    for name in names.into_iter().take(MAX_BOOTSTRAP) {
        lookups.spawn(async move { Some(lookup_host(name).await.ok()?.find_map(v4)) });
    }
    let mut found = Vec::new();
    let all = async {
        while let Some(address) = lookups.join_next().await {
            found.extend(address.ok().flatten().flatten());
        }
    };
    // What was found in time is enough.
    let _ = timeout(RESOLVE, all).await;
    found
}

fn v4(address: SocketAddr) -> Option<SocketAddrV4> {
    match address {
        SocketAddr::V4(address) => Some(address),
        SocketAddr::V6(_) => None,
    }
}

async fn start(config: &DhtConfig, bootstrap: Vec<SocketAddrV4>) -> Result<AsyncDht, DhtError> {
    let config = Config {
        bootstrap: Some(bootstrap),
        port: Some(config.port),
        request_timeout: config.request_timeout,
        bind_address: Some(config.bind),
        ..Config::default()
    };
    for _ in 0..BINDS {
        match bind(config.clone()).await {
            Err(DhtError::Socket(error)) if error.kind() == io::ErrorKind::AddrInUse => {
                sleep(BIND_PAUSE).await;
            }
            other => return other,
        }
    }
    bind(config).await
}

/// Waits for the node's thread.
async fn bind(config: Config) -> Result<AsyncDht, DhtError> {
    let started = spawn_blocking(move || {
        // Whether the port can be had is asked here: `mainline` may panic where it can't.
        let ip = config.bind_address.unwrap_or(Ipv4Addr::UNSPECIFIED);
        UdpSocket::bind((ip, config.port.unwrap_or(0)))?;
        mainline::Dht::new(config)
    });
    let dht = started.await.map_err(|_| DhtError::Ended)?;
    Ok(dht.map_err(DhtError::Socket)?.as_async())
}
