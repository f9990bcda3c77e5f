//! The opened daemon: what is closed when it stops, in which order and within which time.

use crate::api::Readers;
use crate::driver::EngineHandle;
use m2_net::endpoint::Endpoint;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

/// How long the end of all sessions may take.
const CLOSE_DEADLINE: Duration = Duration::from_secs(2);
/// How long running reads may take to finish.
const READ_DEADLINE: Duration = Duration::from_millis(500);
/// How long the engine may take to store its pending work and to close the store.
const ENGINE_DEADLINE: Duration = Duration::from_secs(2);

/// The parts that must be closed in order when the daemon stops.
pub(super) struct RunningDaemon {
    pub(super) engine: EngineHandle,
    pub(super) thread: JoinHandle<()>,
    pub(super) endpoint: Arc<Endpoint>,
    pub(super) readers: Readers,
}

impl RunningDaemon {
    /// Ends all sessions and waits for that, at most until the deadline.
    pub(super) fn end_sessions(&self) -> impl Future<Output = ()> + use<> {
        let endpoint = self.endpoint.clone();
        // A separate task, so that a disk that hangs delays nothing else.
        let closing = tokio::spawn(async move { endpoint.close(CLOSE_DEADLINE).await });
        async move {
            let _ = tokio::time::timeout(CLOSE_DEADLINE, closing).await;
        }
    }

    /// Closes the readers, then lets the engine finish. Every wait has a deadline.
    pub(super) async fn close(self) {
        // The last connection to close checkpoints the store into one file, so the engine's must be
        // the last.
        self.readers.close(READ_DEADLINE).await;
        self.engine.stop();
        let joined = tokio::task::spawn_blocking(move || self.thread.join());
        match tokio::time::timeout(ENGINE_DEADLINE, joined).await {
            Ok(Ok(Ok(()))) => {}
            Ok(_) => tracing::error!("the engine's thread has panicked"),
            Err(_) => tracing::error!("the store does not answer: stopping without it"),
        }
    }
}
