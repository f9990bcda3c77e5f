//! The Mainline DHT: presence records as mutable items of BEP 44 (docs/spec/lookup.md#in-the-dht).
//!
//! Client only: it stores nothing for other nodes and answers no queries. A server would be visible
//! at all times to every node near its id; a client is visible only to the nodes that it queries,
//! when it queries them.
//!
//! A node of `mainline` wakes up 20 times a second, even when idle, and becomes a server after 15
//! minutes. So a node runs only while it is used and for some time after ([`DhtConfig::linger`]);
//! the next one bootstraps from nodes that the last one knew. Publishing and looking up in one
//! batch needs only one start.

mod newest;
mod node;

use super::Task;
use m2_crypto::presence::{DayKey, RECORD_BYTES};
use mainline::async_dht::AsyncDht;
use mainline::{MutableItem, SigningKey};
use node::{Job, Keeper};
use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use thiserror::Error;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

/// The capacity of the job queue. A sender waits while it is full, up to its deadline.
const QUEUE: usize = 64;

/// The configuration of the DHT.
#[derive(Debug, Clone)]
pub struct DhtConfig {
    /// The address of the socket. IPv4 only: the IPv6 DHT is not used.
    pub bind: Ipv4Addr,
    /// The port of the socket; 0 for a different one at each start.
    pub port: u16,
    /// The bootstrap nodes, `host:port` each; `None` for the well-known ones.
    pub bootstrap: Option<Vec<String>>,
    /// Nodes from an earlier [`DhtInfo::known`]. With them no bootstrap nodes are needed.
    pub known: Vec<SocketAddrV4>,
    /// The timeout of a request to one node.
    pub request_timeout: Duration,
    /// How long to wait for a newer record once there is a valid one.
    pub grace: Duration,
    /// How long the node is kept after its last use.
    pub linger: Duration,
}

impl Default for DhtConfig {
    fn default() -> Self {
        Self {
            bind: Ipv4Addr::UNSPECIFIED,
            port: 0,
            bootstrap: None,
            known: Vec::new(),
            request_timeout: Duration::from_secs(2),
            grace: Duration::from_millis(500),
            linger: Duration::from_secs(30),
        }
    }
}

/// The state of the DHT.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct DhtInfo {
    /// True while a node is running.
    pub awake: bool,
    /// The number of nodes in the routing table when the last job ended. 0 after a job means that
    /// the DHT is unreachable.
    pub nodes: usize,
    /// Some of these nodes, to bootstrap from the next time, also after a restart.
    pub known: Vec<SocketAddrV4>,
}

impl fmt::Debug for DhtInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DhtInfo")
            .field("awake", &self.awake)
            .field("nodes", &self.nodes)
            .finish_non_exhaustive()
    }
}

/// Why the DHT could not be used.
#[derive(Debug, Error)]
pub enum DhtError {
    /// No bootstrap node has an IPv4 address, and no other node is known.
    #[error(
        "no bootstrap node of the DHT could be found: check the network and lookup.dht_bootstrap"
    )]
    NoBootstrap,
    /// The UDP socket could not be opened.
    #[error("could not open a UDP socket for the DHT")]
    Socket(#[source] io::Error),
    /// No node stored the record.
    #[error("no node of the DHT stored the record")]
    NotStored,
    /// The operation took too long.
    #[error("the DHT did not answer in time")]
    TimedOut,
    /// The node has failed, or look-up is shutting down.
    #[error("the DHT node ended")]
    Ended,
}

/// The DHT. Nothing is sent before the first use.
#[derive(Debug)]
pub struct Dht {
    jobs: mpsc::Sender<Job>,
    info: Arc<Mutex<DhtInfo>>,
    grace: Duration,
    _task: Task,
}

impl Dht {
    /// Prepares the DHT. Must be called within a tokio runtime.
    pub fn start(config: DhtConfig) -> Self {
        let (jobs, queue) = mpsc::channel(QUEUE);
        let info = Arc::new(Mutex::new(DhtInfo {
            known: config.known.clone(),
            ..DhtInfo::default()
        }));
        Self {
            jobs,
            grace: config.grace,
            info: Arc::clone(&info),
            _task: Task::spawn(Keeper::new(config, info).run(queue)),
        }
    }

    /// Publishes a record under the key of a day. `seq_s` is the Unix time in seconds: nodes keep the
    /// record with the highest. Returns how many nodes stored it.
    ///
    /// Errors: any of [`DhtError`]; `NotStored` also for a key that can only read.
    pub async fn publish(
        &self,
        key: &DayKey,
        seq_s: u64,
        value: &[u8; RECORD_BYTES],
        within: Duration,
    ) -> Result<u32, DhtError> {
        let seed = key.dht_key().seed().ok_or(DhtError::NotStored)?;
        let signing = SigningKey::from_bytes(seed.expose());
        let sequence = i64::try_from(seq_s).unwrap_or(i64::MAX);
        let salt = key.salt().map(<[u8; 16]>::as_slice);
        let item = MutableItem::new(signing, value, sequence, salt);
        let put = move |dht: AsyncDht| async move {
            let stored = dht.put_mutable(item, None).await.map_err(|error| {
                tracing::debug!(%error, "the DHT did not store a record");
                DhtError::NotStored
            })?;
            Ok(stored.stored_at)
        };
        self.work(within, put).await?
    }

    /// Returns the newest record under the key of a day that `read` accepts, with its sequence
    /// number, or `None` if there is no such record. `read` gets the sequence numbers and values of
    /// correct size and signature, each newer than the last one that it accepted; if it returns
    /// `None`, the value is ignored.
    ///
    /// Errors: any of [`DhtError`] except `NotStored`.
    pub async fn latest<T, F>(
        &self,
        key: &DayKey,
        within: Duration,
        read: F,
    ) -> Result<Option<(u64, T)>, DhtError>
    where
        T: Send + 'static,
        F: FnMut(u64, &[u8; RECORD_BYTES]) -> Option<T> + Send + 'static,
    {
        let (key, salt) = (key.dht_key().public(), key.salt().copied());
        let limits = newest::Limits {
            grace: self.grace,
            // The query ends before the caller's deadline, so that its result can still be
            // returned.
            until: Instant::now() + within.saturating_sub(within / 16),
        };
        let get = move |dht: AsyncDht| async move {
            let items = dht.get_mutable(&key, salt.as_ref().map(<[u8; 16]>::as_slice), None);
            newest::newest(items, limits, read).await
        };
        self.work(within, get).await
    }

    /// Returns the current state.
    pub fn info(&self) -> DhtInfo {
        let info = self.info.lock().unwrap_or_else(PoisonError::into_inner);
        info.clone()
    }

    async fn work<T, F, W>(&self, within: Duration, work: F) -> Result<T, DhtError>
    where
        T: Send + 'static,
        F: FnOnce(AsyncDht) -> W + Send + 'static,
        W: Future<Output = T> + Send + 'static,
    {
        let until = Instant::now() + within;
        let (reply, answer) = oneshot::channel();
        let job: Job = Box::new(move |dht| {
            Box::pin(async move {
                let done = match dht {
                    Ok(dht) => tokio::time::timeout_at(until, work(dht))
                        .await
                        .map_err(|_| DhtError::TimedOut),
                    Err(error) => Err(error),
                };
                // The requester may have gone.
                let _ = reply.send(done);
            })
        });
        let all = async {
            self.jobs.send(job).await.map_err(|_| DhtError::Ended)?;
            answer.await.unwrap_or(Err(DhtError::Ended))
        };
        tokio::time::timeout_at(until, all)
            .await
            .unwrap_or(Err(DhtError::TimedOut))
    }
}
