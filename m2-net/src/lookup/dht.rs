//! The Mainline DHT: presence records as mutable items of BEP 44 (docs/spec/lookup.md, spec §8).
//!
//! Client only: nothing of others is stored and nobody's questions are answered. Serving would
//! tell everybody near our node id that we are here, all the time; a client shows itself to those
//! that it asks, when it asks.
//!
//! A node of `mainline` wakes up 20 times a second, whether it has something to do or not, and
//! makes itself a server after 15 minutes. So there is one only while it is used, and some time
//! longer ([`DhtConfig::linger`]); the next one starts from nodes that the last one knew. What is
//! published or looked for in one go shares one start: do things together.

mod newest;
mod node;

use super::Task;
use m2_crypto::Secret;
use m2_crypto::presence::RECORD_BYTES;
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

/// Jobs that may wait for their turn. Who comes later waits too, up to its deadline.
const QUEUE: usize = 64;

/// How the DHT is used.
#[derive(Debug, Clone)]
pub struct DhtConfig {
    /// The address of the socket. IPv4 alone: the DHT's IPv6 half is not spoken.
    pub bind: Ipv4Addr,
    /// The port of the socket; 0 for another one at each start.
    pub port: u16,
    /// Where to begin, `host:port` each; none for the well-known nodes.
    pub bootstrap: Option<Vec<String>>,
    /// Nodes from an earlier [`DhtInfo::known`]. With them it works without bootstrap nodes.
    pub known: Vec<SocketAddrV4>,
    /// How long one node may take for one answer.
    pub request_timeout: Duration,
    /// How much longer a newer record is waited for, once there is one.
    pub grace: Duration,
    /// How long the node is kept after it was last used.
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

/// What is known of the DHT.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct DhtInfo {
    /// Whether there is a node right now.
    pub awake: bool,
    /// Nodes in the routing table when something last ended. None, after something was tried:
    /// the DHT is out of reach.
    pub nodes: usize,
    /// Some of them to begin with the next time, also after a restart.
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
    /// There is no socket.
    #[error("could not open a UDP socket for the DHT")]
    Socket(#[source] io::Error),
    /// No node took the record.
    #[error("no node of the DHT stored the record")]
    NotStored,
    /// It took too long.
    #[error("the DHT did not answer in time")]
    TimedOut,
    /// The node broke, or look-up ends.
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
    /// Prepares the DHT. Call it within a tokio runtime.
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

    /// Publishes a record under the key of `seed` (see `DayKey::dht_seed`) with `seq_s`, Unix time
    /// in seconds: nodes keep the one with the highest. Returns how many nodes stored it.
    ///
    /// Errors: any of [`DhtError`].
    pub async fn publish(
        &self,
        seed: &Secret<32>,
        seq_s: u64,
        value: &[u8; RECORD_BYTES],
        within: Duration,
    ) -> Result<u32, DhtError> {
        let key = SigningKey::from_bytes(seed.expose());
        let sequence = i64::try_from(seq_s).unwrap_or(i64::MAX);
        let item = MutableItem::new(key, value, sequence, None);
        let put = move |dht: AsyncDht| async move {
            let stored = dht.put_mutable(item, None).await.map_err(|error| {
                tracing::debug!(%error, "the DHT did not store a record");
                DhtError::NotStored
            })?;
            Ok(stored.stored_at)
        };
        self.work(within, put).await?
    }

    /// The newest record under the key of `seed` that `read` makes something of, with its
    /// sequence number. `read` sees the sequence numbers and the values of right size and
    /// signature, each newer than the last one that it took; what it gives nothing for counts as
    /// not there. None if there is no such record.
    ///
    /// Errors: [`DhtError`], but for `NotStored`.
    pub async fn latest<T, F>(
        &self,
        seed: &Secret<32>,
        within: Duration,
        read: F,
    ) -> Result<Option<(u64, T)>, DhtError>
    where
        T: Send + 'static,
        F: FnMut(u64, &[u8; RECORD_BYTES]) -> Option<T> + Send + 'static,
    {
        let key = SigningKey::from_bytes(seed.expose());
        let key = key.verifying_key().to_bytes();
        let limits = newest::Limits {
            grace: self.grace,
            // What was found until then counts.
            until: Instant::now() + within.saturating_sub(within / 16),
        };
        let get = move |dht: AsyncDht| async move {
            let items = dht.get_mutable(&key, None, None);
            newest::newest(items, limits, read).await
        };
        self.work(within, get).await
    }

    /// How it stands.
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
                // Nobody may be left to hear it.
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
