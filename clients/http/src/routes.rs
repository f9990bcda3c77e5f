//! The paths of the gateway, and what is done before each handler.

use crate::daemon::Daemon;
use crate::guard::{Guard, guard};
use crate::problem::Problem;
use crate::webhook::Board;
use crate::{contacts, events, health, messages, metrics, openapi};
use axum::extract::DefaultBodyLimit;
use axum::http::StatusCode;
use axum::middleware::from_fn_with_state;
use axum::routing::{MethodRouter, get, post, put};
use axum::{Extension, Router, middleware};
use std::sync::Arc;
use std::time::Duration;

/// The largest body of a request: a message of 48 KiB in Base64, with room to spare.
const MAX_BODY: usize = 256 * 1024;
/// How long the daemon may take for an answer. Long polls and streams end by themselves.
const ANSWER: Duration = Duration::from_secs(90);

/// Returns the router of all operations.
pub(crate) fn router(daemon: Arc<Daemon>, board: Arc<Board>, guarded: Arc<Guard>) -> Router {
    let mut router = Router::new();
    for (path, methods) in paths() {
        router = router.route(path, methods.fallback(wrong_method));
    }
    router
        .fallback(unknown)
        .layer(Extension(board))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(middleware::from_fn(limit))
        .layer(from_fn_with_state(guarded, guard))
        .with_state(daemon)
}

fn paths() -> Vec<(&'static str, MethodRouter<Arc<Daemon>>)> {
    vec![
        (
            "/v1/contacts/{contact}/messages",
            get(messages::list).post(messages::send),
        ),
        ("/v1/contacts", get(contacts::list)),
        ("/v1/contacts/{contact}", get(contacts::show)),
        ("/v1/messages", get(messages::search)),
        (
            "/v1/messages/{id}",
            get(messages::show)
                .put(messages::edit)
                .delete(messages::retract),
        ),
        ("/v1/messages/{id}/reaction", put(messages::react)),
        ("/v1/messages/read", post(messages::read)),
        ("/v1/events", get(events::follow)),
        ("/v1/events/acknowledge", post(events::acknowledge)),
        ("/metrics", get(metrics::metrics)),
        ("/v1/status", get(health::status)),
        ("/v1/health", get(health::health)),
        ("/v1/openapi.json", get(openapi::serve)),
    ]
}

/// Ends requests that the daemon does not answer.
async fn limit(
    request: axum::extract::Request,
    next: middleware::Next,
) -> Result<axum::response::Response, Problem> {
    let answered = tokio::time::timeout(ANSWER, next.run(request)).await;
    answered.map_err(|_| {
        Problem::new(
            StatusCode::GATEWAY_TIMEOUT,
            "TIMED_OUT",
            "The daemon did not answer in time. `m2 status` shows its state.",
        )
    })
}

async fn unknown() -> Problem {
    Problem::new(
        StatusCode::NOT_FOUND,
        "UNKNOWN_PATH",
        "The gateway has no such path. /v1/openapi.json lists all.",
    )
}

async fn wrong_method() -> Problem {
    Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "UNKNOWN_METHOD",
        "The path does not have this method. /v1/openapi.json lists all.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operations::OPERATIONS;
    use std::collections::BTreeSet;

    #[test]
    fn every_path_is_in_the_document_and_the_reverse() {
        let served: BTreeSet<&str> = paths().iter().map(|(path, _)| *path).collect();
        let told: BTreeSet<&str> = OPERATIONS.iter().map(|operation| operation.path).collect();
        assert_eq!(served, told);
    }
}
