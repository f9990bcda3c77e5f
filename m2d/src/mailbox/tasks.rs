//! The tasks that collect letters from own boxes and deposit letters into those of contacts.

use super::{Collector, Depositor, LetterOpener, Wake};
use crate::connect::{Direct, EndpointFactory};
use crate::driver::EngineHandle;
use crate::tasks::Tasks;
use m2_crypto::{Identity, PeerId};
use m2_engine::clock::Clock;
use m2_limits::counters::Counters;
use m2_net::endpoint::Endpoint;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
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

    /// Binds the outbound-only endpoint for deposits. Only anonymous deposits use it, so that
    /// providers can't link them to this daemon.
    fn bind(&self) -> io::Result<Endpoint> {
        Endpoint::bind(self.endpoints.outbound(&self.listen, DEPOSIT_KEYS))
    }
}
