//! The state of the daemon.

use crate::daemon::{Authorized, Daemon};
use crate::problem::Problem;
use crate::webhook::Board;
use axum::extract::State;
use axum::{Extension, Json};
use m2_proto::api::v1::{GetStatusRequest, GetStatusResponse};
use serde_json::{Value, json};
use std::sync::Arc;

pub(crate) async fn status(
    Authorized(client): Authorized,
) -> Result<Json<GetStatusResponse>, Problem> {
    let answer = client.daemon().get_status(GetStatusRequest {}).await?;
    Ok(Json(answer.into_inner()))
}

/// Tells whether the daemon accepts connections and how many webhooks fail, and nothing else: the request has no token.
pub(crate) async fn health(
    State(daemon): State<Arc<Daemon>>,
    Extension(board): Extension<Arc<Board>>,
) -> Result<Json<Value>, Problem> {
    daemon.connect().await?;
    let (running, failing) = board.totals();
    Ok(Json(json!({
        "status": "ok",
        "webhooks": {"running": running, "failing": failing},
    })))
}
