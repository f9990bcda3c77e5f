//! Serves the API until the daemon is told to stop.

use super::Failure;
use crate::api::{self, ApiState};
use crate::listen::Incoming;
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tonic::service::InterceptorLayer;
use tonic::transport::Server;
use tower::util::MapResponseLayer;

/// How long calls that are under way may take to end.
const DRAIN: Duration = Duration::from_secs(2);

/// Serves until SIGTERM or SIGINT, then lets calls end within a deadline.
pub(super) async fn serve(
    state: &Arc<ApiState>,
    incoming: Incoming,
    stop: CancellationToken,
) -> Result<(), Failure> {
    let routes = api::routes(state).map_err(|error| Failure::Api(error.to_string()))?;
    tokio::spawn(report_stop(state.clone(), stop.clone()));
    let draining = stop.clone();
    let server = Server::builder()
        .layer(InterceptorLayer::new(api::only_owner))
        .layer(MapResponseLayer::new(api::explain))
        .layer(MapResponseLayer::new(api::hold_pages))
        .add_routes(routes)
        .serve_with_incoming_shutdown(incoming, stop.clone().cancelled_owned());
    tokio::select! {
        result = server => result.map_err(|error| Failure::Api(error.to_string())),
        () = drained(draining) => Ok(()),
    }
}

/// SIGXFSZ, by which the system says that a file may not grow any more.
const FILE_LIMIT: i32 = 25;

/// Lets a write beyond a file size limit fail like one on a full disk. Without a handler the
/// system would end the process.
pub(super) fn survive_file_limit() -> std::io::Result<()> {
    // Once there was a handler it stays, whoever listens.
    signal(SignalKind::from_raw(FILE_LIMIT)).map(drop)
}

/// Some time after the stop, whatever still runs.
async fn drained(stop: CancellationToken) {
    stop.cancelled().await;
    tokio::time::sleep(DRAIN).await;
}

/// Tells health checks that the daemon stops, and ends their streams.
async fn report_stop(state: Arc<ApiState>, stop: CancellationToken) {
    stop.cancelled().await;
    state.health().stop().await;
}

/// Stops the daemon on SIGTERM and SIGINT. SIGHUP, which a terminal sends when it closes, stops
/// nothing: there is nothing to load again.
pub(super) fn spawn_signals(stop: CancellationToken) -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hangup = signal(SignalKind::hangup())?;
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = terminate.recv() => break,
                _ = interrupt.recv() => break,
                _ = hangup.recv() => tracing::info!("SIGHUP is ignored: nothing is loaded again"),
            }
        }
        stop.cancel();
    });
    Ok(())
}
