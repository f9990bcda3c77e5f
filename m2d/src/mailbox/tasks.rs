//! The tasks of a daemon that has boxes or writes to those of others.

use super::{Collector, Depositor, LetterOpener, Wake};
use crate::clock::Clock;
use crate::counters::Counters;
use crate::engine::EngineHandle;
use crate::network::Direct;
use crate::tasks::Tasks;
use m2_crypto::{Circle, Identity, PeerId, provider};
use m2_net::endpoint::{Endpoint, EndpointConfig};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// Session keys kept ready for deposits: one is used for each.
const DEPOSIT_KEYS: usize = 4;

/// What the tasks are made of.
pub struct MailTasks {
    /// The engine.
    pub engine: EngineHandle,
    /// The daemon's sockets, for sessions with our providers.
    pub endpoint: Arc<Endpoint>,
    /// Dials what contacts named.
    pub direct: Direct,
    /// Who we are.
    pub identity: Arc<Identity>,
    /// The circle.
    pub circle: Circle,
    /// Our peer id.
    pub own_id: PeerId,
    /// The daemon's clock.
    pub clock: Arc<Clock>,
    /// What was refused.
    pub counters: Arc<Counters>,
    /// Where the daemon listens: deposits leave from the same addresses and other ports.
    pub listen: Vec<SocketAddr>,
    /// Fills data packets of deposits up to the path's MTU (`privacy.padding`).
    pub pads: bool,
}

impl MailTasks {
    /// Starts them; they end with `stop`.
    pub fn start(self, wake: Arc<Wake>, tasks: &Tasks, stop: &CancellationToken) {
        let opener = Arc::new(LetterOpener::new(
            self.engine.clone(),
            self.identity.clone(),
            self.own_id,
            self.clock.clone(),
            self.counters.clone(),
        ));
        let collector = Arc::new(Collector {
            engine: self.engine.clone(),
            endpoint: self.endpoint.clone(),
            identity: self.identity.clone(),
            own_id: self.own_id,
            opener,
            wake: wake.clone(),
        });
        tasks.helper("collecting letters", collector.run(stop.clone()));
        let (engine, clock) = (self.engine.clone(), self.clock.clone());
        let depositor = Depositor::new(engine, wake, clock, self.direct.clone(), move || {
            self.bind()
        });
        tasks.helper("depositing letters", depositor.run(stop.clone()));
    }

    /// Sockets of which nobody knows whose they are: nothing but anonymous deposits leaves them.
    fn bind(&self) -> io::Result<Endpoint> {
        let mut config = EndpointConfig::new(self.circle.clone(), self.identity.clone());
        config.listen = self
            .listen
            .iter()
            .map(|address| (address.ip(), 0).into())
            .collect();
        config.provider = provider::default();
        config.key_pool_size = DEPOSIT_KEYS;
        config.dials_only = true;
        config.pad_to_mtu = self.pads;
        let clock = self.clock.clone();
        config.clock = m2_net::clock::Clock::new(move || clock.now_ms());
        env!("CARGO_PKG_VERSION").clone_into(&mut config.version);
        Endpoint::bind(config)
    }
}
