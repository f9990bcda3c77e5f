//! Serves the API until the daemon stops.

use super::Failure;
use crate::access::AccessLayer;
use crate::api::{self, ApiState};
use crate::listen::Incoming;
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tonic::transport::Server;
use tower::util::MapResponseLayer;

/// How long running requests may take to finish.
const DRAIN: Duration = Duration::from_secs(2);

/// Serves until `stop` is cancelled, then drains running requests within a deadline.
pub(super) async fn serve(
    state: &Arc<ApiState>,
    incoming: Incoming,
    stop: CancellationToken,
) -> Result<(), Failure> {
    let routes = api::routes(state).map_err(|error| Failure::Api(error.to_string()))?;
    tokio::spawn(report_stop(state.clone(), stop.clone()));
    let draining = stop.clone();
    let server = Server::builder()
        .trace_fn(|request| tracing::debug_span!("request", method = request.uri().path()))
        .layer(AccessLayer(state.access.clone()))
        .layer(MapResponseLayer::new(api::explain))
        .layer(MapResponseLayer::new(api::hold_pages))
        .add_routes(routes)
        .serve_with_incoming_shutdown(incoming, stop.clone().cancelled_owned());
    tokio::select! {
        result = server => result.map_err(|error| Failure::Api(error.to_string())),
        () = drained(draining) => Ok(()),
    }
}

/// SIGXFSZ: a write exceeded the limit on file sizes.
const FILE_LIMIT: i32 = 25;

/// Makes a write beyond the file size limit fail like a write to a full disk. Without a handler the
/// signal terminates the process.
pub(super) fn survive_file_limit() -> std::io::Result<()> {
    // Tokio never removes a handler, so the receiver can be dropped.
    signal(SignalKind::from_raw(FILE_LIMIT)).map(drop)
}

/// Completes `DRAIN` after the stop, whether or not requests are still running.
async fn drained(stop: CancellationToken) {
    stop.cancelled().await;
    tokio::time::sleep(DRAIN).await;
}

/// Reports to health checks that the daemon is stopping, and ends their streams.
async fn report_stop(state: Arc<ApiState>, stop: CancellationToken) {
    stop.cancelled().await;
    state.health().stop().await;
}

/// Cancels `stop` on SIGTERM and SIGINT. Returns the reloads that SIGHUP requests; requests that arrive
/// during a reload become one.
pub(super) fn spawn_signals(stop: CancellationToken) -> std::io::Result<mpsc::Receiver<()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let (request, reloads) = mpsc::channel(1);
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = terminate.recv() => break,
                _ = interrupt.recv() => break,
                _ = hangup.recv() => drop(request.try_send(())),
            }
        }
        stop.cancel();
    });
    Ok(reloads)
}
