//! The DHT node: started for the first job, stopped after it was idle for a while.

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

/// A job for the node. It is called with an error if no node could be started.
pub(super) type Job = Box<dyn FnOnce(Result<AsyncDht, DhtError>) -> BoxFuture<'static, ()> + Send>;

/// The number of concurrent jobs.
const MAX_JOBS: usize = 8;
/// The maximum age of a node, exceeded only while jobs finish: after 15 minutes it would become a
/// server.
const MAX_AGE: Duration = Duration::from_secs(10 * 60);
/// The number of nodes remembered for bootstrapping. `mainline` queries all of them each time until
/// it knows more nodes than these, so they are few.
const MAX_KNOWN: usize = 12;
/// The number of bootstrap addresses used.
const MAX_BOOTSTRAP: usize = 8;
/// The timeout for resolving the names of bootstrap nodes.
const RESOLVE: Duration = Duration::from_secs(5);
/// How often to retry a port that the previous node may still hold, and the pause between attempts.
const BINDS: u32 = 20;
const BIND_PAUSE: Duration = Duration::from_millis(50);

/// Owns the node.
pub(super) struct Keeper {
    config: DhtConfig,
    info: Arc<Mutex<DhtInfo>>,
    node: Option<Node>,
    /// The running jobs. Each returns the nodes that were known when it ended.
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

    /// Runs until all senders are gone.
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

    /// Returns whether another job may start. A node past its maximum age gets no more jobs, so
    /// that it can stop.
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

    /// Returns the bootstrap addresses of the next node.
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
            // The node's thread has ended: `mainline` panics in that case.
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
                // The table is ordered by distance: take samples from all of it.
                let step = known.len().div_ceil(MAX_KNOWN);
                info.known = known.into_iter().step_by(step).collect();
            }
        });
    }

    /// Drops the node. Its thread ends with the last reference.
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

/// Resolves the bootstrap nodes to IPv4 addresses. Names without one are skipped.
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
    // The names resolved before the timeout are enough.
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

/// Starts the node and waits for its thread.
async fn bind(config: Config) -> Result<AsyncDht, DhtError> {
    let started = spawn_blocking(move || {
        // Check the port first: `mainline` may panic if it can't bind it.
        let ip = config.bind_address.unwrap_or(Ipv4Addr::UNSPECIFIED);
        UdpSocket::bind((ip, config.port.unwrap_or(0)))?;
        mainline::Dht::new(config)
    });
    let dht = started.await.map_err(|_| DhtError::Ended)?;
    Ok(dht.map_err(DhtError::Socket)?.as_async())
}
