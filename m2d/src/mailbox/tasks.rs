//! The tasks that collect letters from own boxes and deposit letters into those of contacts.

use super::{Collector, Depositor, LetterOpener, Wake};
use crate::connect::{Direct, EndpointFactory};
use crate::driver::EngineHandle;
use crate::tasks::Tasks;
use m2_crypto::{Identity, PeerId, provider};
use m2_engine::clock::Clock;
use m2_limits::counters::Counters;
use m2_net::endpoint::Endpoint;
use m2_net::key_pool::KeyPool;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use tokio_util::sync::CancellationToken;

/// The number of session keys kept ready for deposits. Each deposit uses one.
const DEPOSIT_KEYS: usize = 4;

/// The parts that the tasks need.
pub struct MailTasks {
    /// The engine.
    pub engine: EngineHandle,
    /// The daemon's sockets, for sessions with the providers of own boxes.
    pub endpoint: Arc<Endpoint>,
    /// Dials addresses that contacts named.
    pub direct: Direct,
    /// The daemon's identity.
    pub identity: Arc<Identity>,
    /// Configures the endpoint for deposits.
    pub endpoints: EndpointFactory,
    /// The daemon's peer id.
    pub own_id: PeerId,
    /// The daemon's clock.
    pub clock: Arc<Clock>,
    /// The counters of refusals.
    pub counters: Arc<Counters>,
    /// The daemon's listening addresses. Deposits are sent from the same IP addresses and other
    /// ports.
    pub listen: Vec<SocketAddr>,
}

impl MailTasks {
    /// Starts the tasks. They end when `stop` is cancelled.
    pub fn start(self, wake: Arc<Wake>, tasks: &Tasks, stop: &CancellationToken) {
        let collector = Arc::new(self.collector(wake.clone()));
        tasks.helper("collecting letters", collector.run(stop.clone()));
        let (engine, clock) = (self.engine.clone(), self.clock.clone());
        let keys = OnceLock::new();
        let depositor = Depositor::new(engine, wake, clock, self.direct.clone(), move || {
            self.bind(&keys)
        });
        tasks.helper("depositing letters", depositor.run(stop.clone()));
    }

    fn collector(&self, wake: Arc<Wake>) -> Collector {
        let opener = LetterOpener::new(
            self.engine.clone(),
            self.identity.clone(),
            self.own_id,
            self.counters.clone(),
        );
        Collector {
            engine: self.engine.clone(),
            endpoint: self.endpoint.clone(),
            identity: self.identity.clone(),
            opener: Arc::new(opener),
            wake,
        }
    }

    /// Binds an outbound-only endpoint for one deposit, so that the provider can't link it to others or
    /// to this daemon by its port. All of them take session keys from `keys`, a pool that the first one
    /// starts, because most daemons never make a deposit.
    fn bind(&self, keys: &OnceLock<Arc<KeyPool>>) -> io::Result<Endpoint> {
        let keys = match keys.get() {
            Some(keys) => keys.clone(),
            None => {
                let pool = Arc::new(KeyPool::start(DEPOSIT_KEYS, provider::default())?);
                keys.get_or_init(|| pool).clone()
            }
        };
        Endpoint::bind(self.endpoints.outbound_with(&self.listen, keys))
    }
}
