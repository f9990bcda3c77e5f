//! Look-up: publishes this host's addresses for contacts, and finds theirs (`docs/spec/lookup.md`).
//!
//! The engine determines what is published and which peers are looked up. The protocols are
//! implemented in m2-net. In line-only mode no part of look-up is created.

mod dht;
mod due;
mod host;
mod lan;
mod overheard;
mod parts;
mod publisher;

pub(crate) use dht::{find, tell};
pub use parts::{LookupParts, LookupState, StateOf};

use crate::config::{IpMode, LookupConfig};
use crate::driver::{EngineHandle, LookupWake};
use crate::network::Links;
use crate::reach::Reachability;
use crate::tasks::Tasks;
use dht::Seeker;
use host::HostTask;
use lan::LanTask;
use m2_discovery::interfaces::Interfaces;
use m2_discovery::ports::{PortStatus, Ports, PortsConfig};
use m2_engine::clock::Clock;
use publisher::Publisher;
use std::num::NonZeroU16;
use std::sync::Arc;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// The inputs of the look-up tasks.
pub struct LookupTasks {
    /// The engine, which knows the contacts.
    pub engine: EngineHandle,
    /// The connections of established sessions.
    pub links: Arc<Links>,
    /// Addresses at which this host may be reached.
    pub reach: Arc<Reachability>,
    /// The daemon's clock.
    pub clock: Arc<Clock>,
    /// The configuration of look-up.
    pub config: LookupConfig,
    /// The profile's mode.
    pub mode: IpMode,
}

impl LookupTasks {
    /// Starts the tasks that are configured and possible. They end with `stop`.
    pub fn start(
        self,
        wake: &Arc<LookupWake>,
        tasks: &Tasks,
        stop: &CancellationToken,
    ) -> LookupParts {
        if self.mode == IpMode::LineOnly {
            return LookupParts::default();
        }
        let (mut parts, seen) = LookupParts::start(&self.config, &self.reach);
        if let Some(dht) = &parts.dht {
            let publisher = Publisher::new(&self, dht.clone());
            tasks.helper(
                "publishing addresses",
                publisher.run(wake.subscribe(), stop.clone()),
            );
            let seeker = Seeker::new(&self, dht.clone());
            tasks.helper(
                "look-up in the DHT",
                seeker.run(wake.subscribe(), stop.clone()),
            );
        }
        if let Some((lan, seen)) = parts.lan.clone().zip(seen) {
            let task = LanTask::new(&self, lan, &parts);
            let run = task.run(wake.subscribe(), seen, stop.clone());
            tasks.helper("look-up in the local network", run);
        }
        if !self.reach.is_bound_to_loopback() {
            match Interfaces::watch(false) {
                Ok(interfaces) => parts.ports = self.follow_host(interfaces, tasks, stop),
                Err(error) => tracing::warn!(%error, "changes of addresses cannot be watched"),
            }
        }
        parts
    }

    /// Starts the task that follows the host's addresses and the gateway. Returns the gateway's
    /// status.
    fn follow_host(
        &self,
        interfaces: Interfaces,
        tasks: &Tasks,
        stop: &CancellationToken,
    ) -> Option<watch::Receiver<PortStatus>> {
        let ports = self.map_port(&interfaces);
        let status = ports.as_ref().map(Ports::status);
        let task = HostTask::new(self, interfaces, ports);
        tasks.helper("changes of addresses", task.run(stop.clone()));
        status
    }

    /// Asks the gateway to forward the port on which contacts dial, if configured.
    fn map_port(&self, interfaces: &Interfaces) -> Option<Ports> {
        let port = self.reach.port().and_then(NonZeroU16::new)?;
        let config = PortsConfig::new(port);
        let wished = self.config.map_port;
        wished.then(|| Ports::start(config, interfaces.addresses()))
    }
}
