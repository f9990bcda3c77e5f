//! Follows the host's addresses and the port that its gateway forwards.

use super::LookupTasks;
use crate::driver::EngineHandle;
use crate::network::Links;
use crate::reach::Reachability;
use m2_discovery::interfaces::Interfaces;
use m2_discovery::ports::{PortStatus, Ports};
use m2_engine::SessionInput;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How long a session may take to migrate to a new address: two round trips of a slow path.
const GRACE: Duration = Duration::from_millis(1_200);

/// The task that follows the host's addresses.
pub(super) struct HostTask {
    engine: EngineHandle,
    links: Arc<Links>,
    reach: Arc<Reachability>,
    interfaces: Interfaces,
    ports: Option<Ports>,
}

impl HostTask {
    pub(super) fn new(tasks: &LookupTasks, interfaces: Interfaces, ports: Option<Ports>) -> Self {
        Self {
            engine: tasks.engine.clone(),
            links: tasks.links.clone(),
            reach: tasks.reach.clone(),
            interfaces,
            ports,
        }
    }

    /// Runs until the daemon stops. Then releases the forwarded port.
    pub(super) async fn run(self, stop: CancellationToken) {
        let mut addresses = self.interfaces.addresses();
        let mut status = self.ports.as_ref().map(Ports::status);
        let now = addresses.borrow_and_update().clone();
        self.reach.set_interfaces(now);
        loop {
            let gateway = async {
                match &mut status {
                    Some(status) => status.changed().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = stop.cancelled() => break,
                changed = addresses.changed() => {
                    if changed.is_err() {
                        break;
                    }
                    let now = addresses.borrow_and_update().clone();
                    self.moved(now).await;
                }
                changed = gateway => {
                    if changed.is_err() {
                        status = None;
                    }
                }
            }
            let mapped = status.as_mut().map(|status| *status.borrow_and_update());
            self.reach.set_mapped(match mapped {
                Some(PortStatus::Mapped { external, .. }) => Some(external),
                _ => None,
            });
        }
        if let Some(ports) = self.ports {
            ports.stop().await;
        }
    }

    /// Handles a change of the host's addresses, or a wake-up from sleep: sessions must be checked.
    async fn moved(&self, now: Vec<std::net::IpAddr>) {
        tracing::info!("the host's addresses changed, or it slept");
        self.reach.set_interfaces(now);
        self.reach.endpoint().forget_kept_keys();
        let counted = self.links.migrating();
        let told = self.engine.call(SessionInput::NetworkChanged);
        if told.await.is_err() {
            return;
        }
        let (engine, links) = (self.engine.clone(), self.links.clone());
        tokio::spawn(async move {
            tokio::time::sleep(GRACE).await;
            let silent = links.still_silent(&counted);
            let told = engine.cast(SessionInput::StillSilent(silent));
            if told.await.is_err() {
                tracing::debug!("the engine is gone");
            }
        });
    }
}
