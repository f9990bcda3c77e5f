//! Established sessions: a task for each, its queue of frames, and the watch for silent peers.

mod frame_size;
mod grants;
mod link;
mod outgoing;
mod punch_state;
mod session;
mod silence;

pub use link::{Link, Links};
pub use punch_state::PunchState;
pub use session::SessionRunner;

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
