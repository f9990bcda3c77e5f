//! The state of the daemon.

use crate::daemon::{Authorized, Daemon};
use crate::problem::Problem;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use m2_proto::api::v1::{GetStatusRequest, GetStatusResponse};
use serde_json::{Value, json};
use std::sync::Arc;

pub(crate) async fn status(
    Authorized(client): Authorized,
) -> Result<Json<GetStatusResponse>, Problem> {
    let answer = client.daemon().get_status(GetStatusRequest {}).await?;
    Ok(Json(answer.into_inner()))
}

/// Tells whether the daemon accepts connections, and nothing else: the request has no token.
pub(crate) async fn health(
    State(daemon): State<Arc<Daemon>>,
) -> Result<(StatusCode, Json<Value>), Problem> {
    daemon.check().await?;
    Ok((StatusCode::OK, Json(json!({"status": "ok"}))))
}
