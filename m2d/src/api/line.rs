//! `LineService`.

use super::convert;
use super::session::ApiState;
use m2_engine::{LineInput, LineView, Query};
use m2_proto::api::v1 as pb;
use m2_proto::api::v1::line_service_server::LineService;
use std::sync::Arc;
use tonic::{Request, Response, Status};

/// The implementation of the service.
pub(super) struct LineApi(pub Arc<ApiState>);

#[tonic::async_trait]
impl LineService for LineApi {
    async fn add_line(
        &self,
        request: Request<pb::AddLineRequest>,
    ) -> Result<Response<pb::AddLineResponse>, Status> {
        let pb::AddLineRequest { invitation, entry } = request.into_inner();
        let engine = &self.0.ready()?.engine;
        let view = engine
            .call(|reply| LineInput::Add {
                invitation,
                entry,
                reply,
            })
            .await?;
        let line = Some(show(view));
        Ok(Response::new(pb::AddLineResponse { line }))
    }

    async fn list_lines(
        &self,
        _request: Request<pb::ListLinesRequest>,
    ) -> Result<Response<pb::ListLinesResponse>, Status> {
        let views = self.0.ready()?.engine.read(Query::Lines).await?;
        let lines = views.into_iter().map(show).collect();
        Ok(Response::new(pb::ListLinesResponse { lines }))
    }

    async fn remove_line(
        &self,
        request: Request<pb::RemoveLineRequest>,
    ) -> Result<Response<pb::RemoveLineResponse>, Status> {
        let relay = request.into_inner().relay;
        let engine = &self.0.ready()?.engine;
        engine.call(|reply| LineInput::Remove(relay, reply)).await?;
        Ok(Response::new(pb::RemoveLineResponse {}))
    }
}

fn show(view: LineView) -> pb::Line {
    pb::Line {
        relay_id: view.row.relay.to_string(),
        entry: view.row.entry,
        online: view.health.online,
        addresses: view.row.addresses.iter().map(ToString::to_string).collect(),
        created: Some(convert::timestamp(view.row.created_ms)),
        open: view.health.open,
        last_failure: convert::reason(view.health.failure),
    }
}
