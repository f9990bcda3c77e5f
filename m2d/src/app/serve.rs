//! Serves the API until the daemon stops.

use super::Failure;
use crate::access::AccessLayer;
use crate::api::{self, ApiState};
use crate::listen::Incoming;
use std::sync::Arc;
use std::time::Duration;
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
