//! What all services share: the daemon as it is now, locked or ready.

use super::health::Health;
use super::{FailClosedTest, Readers};
use crate::backup::Backups;
use crate::config::Config;
use crate::counters::Counters;
use crate::engine::{Bus, EngineHandle};
use crate::listen::Connections;
use crate::lookup::LookupParts;
use crate::mailbox::server::MailboxServer;
use crate::network::Prober;
use crate::reach::Reachability;
use crate::tasks::Tasks;
use m2_crypto::{Certificate, PeerId};
use m2_net::endpoint::Endpoint;
use m2_net::line::relay::Relay;
use m2_proto::reason::Reason;
use std::collections::HashSet;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::sync::Mutex as AsyncMutex;
use tokio_util::sync::CancellationToken;
use tonic::Status;
use tonic_health::ServingStatus;

/// An opened daemon, as the services need it.
pub struct Ready {
    /// The way into the engine.
    pub engine: EngineHandle,
    /// Announcements of what was committed.
    pub bus: Arc<Bus>,
    /// Connections that only read.
    pub readers: Readers,
    /// The sockets.
    pub endpoint: Arc<Endpoint>,
    /// The own certificate.
    pub certificate: Certificate,
    /// The own peer id.
    pub peer_id: PeerId,
    /// The event log's incarnation.
    pub incarnation: u64,
    /// What was refused, by reason.
    pub counters: Arc<Counters>,
    /// The mailbox that this daemon is for others.
    pub mailbox: Option<Arc<MailboxServer>>,
    /// The relay that this daemon is for others.
    pub relay: Option<Arc<Relay>>,
    /// Whether line-only mode holds.
    pub fail_closed: FailClosedTest,
    /// Where this host may be reached.
    pub reach: Arc<Reachability>,
    /// Look-up.
    pub lookup: LookupParts,
    /// Makes backups.
    pub backups: Arc<Backups>,
    /// Tries ways to contacts.
    pub prober: Arc<Prober>,
    /// The configuration.
    pub config: Arc<Config>,
    /// Things that the user should know.
    pub warnings: Vec<String>,
    /// The tasks behind it.
    pub tasks: Tasks,
}

/// Opens a locked daemon with a passphrase.
pub type Unlocker = Box<dyn FnMut(String) -> futures::future::BoxFuture<'static, Unlocked> + Send>;

/// What came of it.
pub(super) type Unlocked = Result<Ready, Reason>;

/// The daemon as the services see it.
pub struct ApiState {
    ready: OnceLock<Ready>,
    unlocker: AsyncMutex<Option<Unlocker>>,
    /// The circle's name.
    pub circle: String,
    /// When the daemon started, Unix milliseconds.
    pub started_ms: u64,
    /// Cancelled when the daemon begins to stop.
    pub stop: CancellationToken,
    /// The connections of front-ends.
    pub connections: Arc<Connections>,
    health: Health,
    leases: Mutex<HashSet<String>>,
}

impl ApiState {
    /// A daemon that is locked until [`Self::set_ready`] or a successful [`Self::unlock`].
    pub async fn new(
        circle: String,
        connections: Arc<Connections>,
        stop: CancellationToken,
    ) -> Self {
        Self {
            ready: OnceLock::new(),
            unlocker: AsyncMutex::new(None),
            circle,
            started_ms: system_ms(),
            stop,
            connections,
            health: Health::new().await,
            leases: Mutex::new(HashSet::new()),
        }
    }

    /// The opened daemon. Error: LOCKED.
    pub fn ready(&self) -> Result<&Ready, Status> {
        self.ready.get().ok_or_else(|| Reason::Locked.status())
    }

    /// Whether the daemon is open.
    pub fn is_ready(&self) -> bool {
        self.ready.get().is_some()
    }

    /// The daemon is open.
    pub async fn set_ready(&self, ready: Ready) {
        let _ = self.ready.set(ready);
        self.health.report(ServingStatus::Serving).await;
    }

    /// What health checks are told.
    pub fn health(&self) -> &Health {
        &self.health
    }

    /// How a locked daemon is opened.
    pub async fn set_unlocker(&self, unlocker: Unlocker) {
        *self.unlocker.lock().await = Some(unlocker);
    }

    /// Opens a locked daemon. One attempt at a time. Errors: NOT_LOCKED, WRONG_PASSPHRASE, and
    /// what keeps the daemon from starting.
    pub async fn unlock(&self, passphrase: String) -> Result<(), Status> {
        let mut unlocker = self.unlocker.lock().await;
        if self.is_ready() {
            return Err(Reason::NotLocked.status());
        }
        let unlock = unlocker.as_mut().ok_or_else(|| Reason::Locked.status())?;
        let ready = unlock(passphrase).await.map_err(Reason::status)?;
        self.set_ready(ready).await;
        Ok(())
    }

    /// Whether a client's name is leased to a stream.
    pub fn is_leased(&self, client: &str) -> bool {
        let leases = self.leases.lock().unwrap_or_else(PoisonError::into_inner);
        leases.contains(client)
    }

    /// Leases a client's name to one stream. Error: CLIENT_IN_USE.
    pub fn lease(self: &Arc<Self>, client: &str) -> Result<Lease, Status> {
        let mut leases = self.leases.lock().unwrap_or_else(PoisonError::into_inner);
        if !leases.insert(client.to_owned()) {
            return Err(Reason::ClientInUse.status());
        }
        Ok(Lease {
            state: self.clone(),
            client: client.to_owned(),
        })
    }
}

fn system_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    })
}

/// A client's name, taken until this is dropped.
pub struct Lease {
    state: Arc<ApiState>,
    client: String,
}

impl Lease {
    /// The client's name.
    pub(super) fn client(&self) -> &str {
        &self.client
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let leases = self.state.leases.lock();
        leases
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&self.client);
    }
}
