//! What all endpoints of this daemon have in common.

use m2_crypto::{Circle, Identity, provider};
use m2_engine::clock::Clock;
use m2_net::endpoint::EndpointConfig;
use m2_net::key_pool::KeyPool;
use m2_net::suites::LeastSuites;
use std::net::SocketAddr;
use std::sync::Arc;

/// Makes the configurations of the daemon's endpoints.
#[derive(Clone)]
pub struct EndpointFactory {
    /// The daemon's circle.
    pub circle: Circle,
    /// The daemon's identity.
    pub identity: Arc<Identity>,
    /// The daemon's clock.
    pub clock: Arc<Clock>,
    /// True if packets are padded to the path's MTU (`privacy.padding`).
    pub pads: bool,
    /// The least suites of peers.
    pub suites: Arc<LeastSuites>,
}

impl EndpointFactory {
    /// Returns the configuration of an endpoint on these addresses, with this number of session keys
    /// kept ready.
    pub fn config(&self, listen: Vec<SocketAddr>, keys: usize) -> EndpointConfig {
        let mut config = EndpointConfig::new(self.circle.clone(), self.identity.clone());
        config.listen = listen;
        config.provider = provider::default();
        config.key_pool_size = keys;
        config.pad_to_mtu = self.pads;
        config.suites = self.suites.clone();
        config.clock = network_clock(&self.clock);
        env!("CARGO_PKG_VERSION").clone_into(&mut config.version);
        config
    }

    /// Returns the configuration of an endpoint that only dials: on the IP addresses of `listen`,
    /// and on other ports, so that its sessions can't be linked to those of the main endpoint by
    /// their port.
    pub fn outbound(&self, listen: &[SocketAddr], keys: usize) -> EndpointConfig {
        let any_port = |address: &SocketAddr| (address.ip(), 0).into();
        let mut config = self.config(listen.iter().map(any_port).collect(), keys);
        config.dials_only = true;
        config
    }

    /// Returns the configuration of an endpoint as [`Self::outbound`] does, with session keys from `keys`.
    pub fn outbound_with(&self, listen: &[SocketAddr], keys: Arc<KeyPool>) -> EndpointConfig {
        let mut config = self.outbound(listen, 0);
        config.shared_keys = Some(keys);
        config
    }
}

/// Returns the daemon's clock as the clock of an endpoint.
pub fn network_clock(clock: &Arc<Clock>) -> m2_net::clock::Clock {
    let clock = Arc::clone(clock);
    m2_net::clock::Clock::new(move || clock.now_ms())
}
