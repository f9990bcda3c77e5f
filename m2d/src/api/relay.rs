//! `RelayService`.

use super::session::ApiState;
use crate::config::RelayConfig;
use m2_proto::api::v1 as pb;
use m2_proto::api::v1::relay_service_server::RelayService;
use m2_relay::RelayTotals;
use std::sync::Arc;
use tonic::{Request, Response, Status};

/// The implementation of the service.
pub(super) struct RelayApi(pub Arc<ApiState>);

#[tonic::async_trait]
impl RelayService for RelayApi {
    async fn get_relay_status(
        &self,
        _request: Request<pb::GetRelayStatusRequest>,
    ) -> Result<Response<pb::GetRelayStatusResponse>, Status> {
        let ready = self.0.ready()?;
        let Some(relay) = &ready.relay else {
            return Ok(Response::new(pb::GetRelayStatusResponse::default()));
        };
        let status = status(relay.totals(), &ready.config.relay);
        Ok(Response::new(status))
    }
}

fn status(totals: RelayTotals, limits: &RelayConfig) -> pb::GetRelayStatusResponse {
    let refused = totals.refused.into_iter().filter(|(_, count)| *count > 0);
    let refused = refused.map(|(name, count)| (name.to_owned(), count));
    pb::GetRelayStatusResponse {
        serving: true,
        sessions: number(totals.sessions),
        max_sessions: limits.max_sessions,
        lines: number(totals.lines),
        max_lines: limits.max_lines,
        splices: number(totals.splices),
        max_splices: limits.max_splices,
        extended: u32::try_from(totals.extended).unwrap_or(u32::MAX),
        bytes: totals.bytes,
        dropped: totals.dropped,
        refused: refused.collect(),
    }
}

fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
