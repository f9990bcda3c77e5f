//! The active parts of look-up, and their status.

use crate::config::LookupConfig;
use crate::reach::Reachability;
use m2_discovery::dht::{Dht, DhtConfig};
use m2_discovery::lan::{Lan, LanConfig, Seen};
use m2_discovery::ports::PortStatus;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::{mpsc, watch};

/// The active parts of look-up. Cheap to clone. In line-only mode there are no parts.
#[derive(Debug, Clone, Default)]
pub struct LookupParts {
    /// The DHT node, if active.
    pub dht: Option<Arc<Dht>>,
    /// The local network, if active.
    pub lan: Option<Arc<Lan>>,
    /// Number of contacts recognised in the local network since the start.
    pub recognised: Arc<AtomicUsize>,
    /// The gateway's status, if it is asked to forward a port.
    pub ports: Option<watch::Receiver<PortStatus>>,
    may_look: bool,
}

/// The part of look-up that a status describes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StateOf {
    /// Look-up in the local network.
    Lan,
    /// Look-up in the DHT.
    Dht,
    /// The port that the gateway forwards.
    Gateway,
}

/// The status of one part.
#[derive(Debug, Clone)]
pub struct LookupState {
    /// The part.
    pub source: StateOf,
    /// True if the part is in use.
    pub enabled: bool,
    /// True if the part is known to work.
    pub works: bool,
    /// A sentence for the user.
    pub about: String,
}

impl LookupParts {
    /// Starts the configured and possible parts. Also returns the announcements seen in the local
    /// network.
    pub(super) fn start(
        config: &LookupConfig,
        reach: &Reachability,
    ) -> (Self, Option<mpsc::Receiver<Seen>>) {
        let alone = reach.is_bound_to_loopback();
        let mut parts = Self {
            may_look: true,
            ..Self::default()
        };
        if config.dht && (!alone || !config.dht_bootstrap.is_empty()) {
            parts.dht = Some(Arc::new(Dht::start(dht(config, reach))));
        }
        let mut seen = None;
        if config.lan && !alone && reach.port().is_some() {
            (parts.lan, seen) = start_lan().unzip();
        }
        (parts, seen)
    }

    /// Returns whether the profile's mode forbids look-up.
    pub const fn mode_hides(&self) -> bool {
        !self.may_look
    }

    /// Returns the status of each part, in the order in which they are used.
    pub fn states(&self) -> Vec<LookupState> {
        vec![self.of_lan(), self.of_dht(), self.of_gateway()]
    }

    fn of_lan(&self) -> LookupState {
        let recognised = self.recognised.load(Ordering::Relaxed);
        let enabled = self.lan.is_some();
        LookupState {
            source: StateOf::Lan,
            enabled,
            works: enabled && recognised > 0,
            about: match (enabled, recognised) {
                (false, _) => "Contacts are not looked for in the local network.".to_owned(),
                (true, 0) => "No contact was seen in the local network.".to_owned(),
                (true, 1) => "A contact was seen in the local network.".to_owned(),
                (true, some) => format!("{some} contacts were seen in the local network."),
            },
        }
    }

    fn of_dht(&self) -> LookupState {
        let info = self.dht.as_ref().map(|dht| dht.info());
        let nodes = info.as_ref().map_or(0, |info| info.nodes);
        LookupState {
            source: StateOf::Dht,
            enabled: info.is_some(),
            works: nodes > 0,
            about: match (info.is_some(), nodes) {
                (false, _) => "The DHT is not used.".to_owned(),
                (true, 0) => "No node of the DHT has answered yet; IPv4 only.".to_owned(),
                (true, nodes) => format!("{nodes} nodes of the DHT answered; IPv4 only."),
            },
        }
    }

    fn of_gateway(&self) -> LookupState {
        let status = self.ports.as_ref().map(|status| *status.borrow());
        LookupState {
            source: StateOf::Gateway,
            enabled: status.is_some(),
            works: matches!(status, Some(PortStatus::Mapped { .. })),
            about: match status {
                None => "The gateway is not asked to forward a port.".to_owned(),
                Some(status) => format!("The gateway's answer: {}.", status.word()),
            },
        }
    }
}

/// Starts announcements in the local network. Returns them and the ones that are seen; `None` if
/// they cannot start.
fn start_lan() -> Option<(Arc<Lan>, mpsc::Receiver<Seen>)> {
    match Lan::start(LanConfig::default()) {
        Ok((lan, seen)) => Some((Arc::new(lan), seen)),
        Err(error) => {
            tracing::warn!(%error, "look-up in the local network cannot start");
            None
        }
    }
}

fn dht(config: &LookupConfig, reach: &Reachability) -> DhtConfig {
    let alone = reach.is_bound_to_loopback();
    let bootstrap = config.dht_bootstrap.clone();
    DhtConfig {
        bind: if alone {
            Ipv4Addr::LOCALHOST
        } else {
            Ipv4Addr::UNSPECIFIED
        },
        port: config.dht_port,
        bootstrap: (!bootstrap.is_empty()).then_some(bootstrap),
        request_timeout: Duration::from_millis(config.dht_timeout_ms),
        ..DhtConfig::default()
    }
}
