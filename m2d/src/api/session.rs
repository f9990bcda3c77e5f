//! The state that all services share: the daemon, locked or ready.

use super::diagnostics::Diagnostics;
use super::health::Health;
use super::reports::Reports;
use super::{FailClosedTest, Readers, Reloaded};
use crate::access::Access;
use crate::backup::Backups;
use crate::config::Config;
use crate::dialling::Prober;
use crate::driver::{Bus, EngineHandle};
use crate::exposure::Files;
use crate::listen::Connections;
use crate::lookup::LookupParts;
use crate::network::Links;
use crate::outlets::Wakes;
use crate::reach::Reachability;
use crate::tasks::Tasks;
use m2_crypto::{Certificate, PeerId};
use m2_engine::Warning;
use m2_limits::counters::Counters;
use m2_mailbox::server::MailboxServer;
use m2_net::endpoint::Endpoint;
use m2_proto::reason::Reason;
use m2_relay::Relay;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::sync::Mutex as AsyncMutex;
use tokio_util::sync::CancellationToken;
use tonic::Status;
use tonic_health::ServingStatus;

/// The parts of an opened daemon that the services need.
pub struct Ready {
    /// The handle to the engine.
    pub engine: EngineHandle,
    /// The notifications about committed changes.
    pub bus: Arc<Bus>,
    /// The connections of established sessions.
    pub links: Arc<Links>,
    /// Wakes tasks.
    pub wakes: Wakes,
    /// The read-only store connections.
    pub readers: Readers,
    /// The UDP endpoint.
    pub endpoint: Arc<Endpoint>,
    /// The daemon's certificate.
    pub certificate: Certificate,
    /// The daemon's peer id.
    pub peer_id: PeerId,
    /// The incarnation of the event log.
    pub incarnation: u64,
    /// The counters of refusals by reason.
    pub counters: Arc<Counters>,
    /// The mailbox role, if this daemon serves it.
    pub mailbox: Option<Arc<MailboxServer>>,
    /// The relay role, if this daemon serves it.
    pub relay: Option<Arc<Relay>>,
    /// The test of whether line-only mode holds.
    pub fail_closed: FailClosedTest,
    /// The addresses at which this daemon may be reachable.
    pub reach: Arc<Reachability>,
    /// The parts of look-up.
    pub lookup: LookupParts,
    /// The creation of backups.
    pub backups: Arc<Backups>,
    /// The prober of paths to contacts.
    pub prober: Arc<Prober>,
    /// The configuration.
    pub config: Arc<Config>,
    /// Warnings for the user.
    pub warnings: Vec<Warning>,
    /// The supervised tasks.
    pub tasks: Tasks,
}

/// Opens a locked daemon with a passphrase.
pub type Unlocker = Box<dyn FnMut(String) -> futures::future::BoxFuture<'static, Unlocked> + Send>;

/// The result of an attempt to unlock.
pub(super) type Unlocked = Result<Ready, Reason>;

/// The state of the daemon for the services.
pub struct ApiState {
    ready: OnceLock<Ready>,
    unlocker: AsyncMutex<Option<Unlocker>>,
    /// The name of the circle.
    pub circle: String,
    /// The time at which the daemon started, in Unix milliseconds.
    pub started_ms: u64,
    /// Cancelled when the daemon begins to stop.
    pub stop: CancellationToken,
    /// The connections of front-ends.
    pub connections: Arc<Connections>,
    /// Which front-ends may do what.
    pub access: Arc<Access>,
    /// What bug reports contain of the start.
    pub diagnostics: Diagnostics,
    /// The files of the daemon.
    pub files: Files,
    /// The result of the last reload of the configuration.
    pub reloaded: Reloaded,
    /// What named clients report to fail.
    pub(super) reports: Reports,
    health: Health,
    leases: Mutex<HashMap<String, Holding>>,
}

impl ApiState {
    /// Returns the state of a daemon that is locked until [`Self::set_ready`] or a successful
    /// [`Self::unlock`].
    pub async fn new(
        circle: String,
        (connections, access): (Arc<Connections>, Arc<Access>),
        (diagnostics, files): (Diagnostics, Files),
        stop: CancellationToken,
    ) -> Self {
        Self {
            ready: OnceLock::new(),
            unlocker: AsyncMutex::new(None),
            circle,
            started_ms: system_ms(),
            stop,
            connections,
            access,
            diagnostics,
            files,
            reloaded: Reloaded::default(),
            reports: Reports::default(),
            health: Health::new().await,
            leases: Mutex::default(),
        }
    }

    /// Returns the opened daemon. Error: LOCKED.
    pub fn ready(&self) -> Result<&Ready, Status> {
        self.ready.get().ok_or_else(|| Reason::Locked.status())
    }

    /// Returns whether the daemon is open.
    pub fn is_ready(&self) -> bool {
        self.ready.get().is_some()
    }

    /// Marks the daemon as open.
    pub async fn set_ready(&self, ready: Ready) {
        let _ = self.ready.set(ready);
        self.health.report(ServingStatus::Serving).await;
    }

    /// Returns the health reporter.
    pub fn health(&self) -> &Health {
        &self.health
    }

    /// Sets the function that opens a locked daemon.
    pub async fn set_unlocker(&self, unlocker: Unlocker) {
        *self.unlocker.lock().await = Some(unlocker);
    }

    /// Opens a locked daemon, one attempt at a time. Errors: NOT_LOCKED, WRONG_PASSPHRASE, and
    /// those of the start.
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

    /// Returns the number of streams that have a client name.
    pub fn streams_of(&self, client: &str) -> u32 {
        match self.leases().get(client) {
            None => 0,
            Some(Holding::Alone) => 1,
            Some(Holding::Shared(count)) => *count,
        }
    }

    /// Leases a client name to one stream. Error: CLIENT_IN_USE.
    pub fn lease(self: &Arc<Self>, client: &str) -> Result<Lease, Status> {
        let mut leases = self.leases();
        if leases.contains_key(client) {
            return Err(Reason::ClientInUse.status());
        }
        leases.insert(client.to_owned(), Holding::Alone);
        drop(leases);
        Ok(self.lease_of(client))
    }

    /// Leases a client name to one of several streams that share it. Error: CLIENT_IN_USE.
    pub fn lease_shared(self: &Arc<Self>, client: &str) -> Result<Lease, Status> {
        let mut leases = self.leases();
        let holding = leases
            .entry(client.to_owned())
            .or_insert(Holding::Shared(0));
        let Holding::Shared(count) = holding else {
            return Err(Reason::ClientInUse.status());
        };
        *count = count.saturating_add(1);
        drop(leases);
        Ok(self.lease_of(client))
    }

    fn lease_of(self: &Arc<Self>, client: &str) -> Lease {
        Lease {
            state: self.clone(),
            client: client.to_owned(),
        }
    }

    fn release(&self, client: &str) {
        let mut leases = self.leases();
        match leases.get_mut(client) {
            Some(Holding::Shared(count)) if *count > 1 => *count -= 1,
            _ => {
                leases.remove(client);
            }
        }
    }

    fn leases(&self) -> MutexGuard<'_, HashMap<String, Holding>> {
        self.leases.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How a client name is held by streams.
#[derive(Debug)]
enum Holding {
    Alone,
    /// By this number of streams.
    Shared(u32),
}

/// Returns the time by the system's clock, in Unix milliseconds.
pub(super) fn system_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    })
}

/// The lease of a client name, held until this is dropped.
pub struct Lease {
    state: Arc<ApiState>,
    client: String,
}

impl Lease {
    /// Returns the client name.
    pub(super) fn client(&self) -> &str {
        &self.client
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.state.release(&self.client);
    }
}
