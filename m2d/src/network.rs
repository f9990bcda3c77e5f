//! The daemon's side of the network: the dialer, and a task for every session.

mod address_budget;
mod budget;
mod dialer;
mod direct;
mod endpoint_factory;
mod goal;
mod link;
mod orders;
mod outgoing;
mod probe;
mod punch_state;
mod route;
mod session;
mod silence;

pub use address_budget::AddressBudgets;
pub use dialer::Dialer;
pub use direct::{Direct, DirectError, Target, use_of};
pub use endpoint_factory::EndpointFactory;
pub use link::Link;
pub use orders::{DialerHandle, Order};
pub use probe::{Prober, Tried, WaySource};
pub use punch_state::PunchState;
pub use route::Route;
pub use session::{SessionRunner, is_sent_once};

use m2_net::endpoint::Endpoint;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// Accepts sessions until the daemon stops.
pub async fn accept(endpoint: Arc<Endpoint>, runner: Arc<SessionRunner>, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            session = endpoint.accept() => match session {
                Some(session) => runner.clone().start(session),
                None => return,
            },
        }
    }
}
