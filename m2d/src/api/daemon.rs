//! `DaemonService`.

use super::session::{ApiState, Ready};
use crate::mailbox::server::ServerHealth;
use m2_proto::api::v1::daemon_service_server::DaemonService;
use m2_proto::api::v1::{
    DaemonState, GetStatusRequest, GetStatusResponse, MailboxServer, UnlockRequest, UnlockResponse,
};
use std::sync::Arc;
use tonic::{Request, Response, Status};

/// The daemon itself.
pub(super) struct DaemonApi(pub Arc<ApiState>);

#[tonic::async_trait]
impl DaemonService for DaemonApi {
    async fn get_status(
        &self,
        _request: Request<GetStatusRequest>,
    ) -> Result<Response<GetStatusResponse>, Status> {
        let stopping = self.0.stop.is_cancelled();
        let state = match (stopping, self.0.is_ready()) {
            (true, _) => DaemonState::Stopping,
            (false, true) => DaemonState::Ready,
            (false, false) => DaemonState::Locked,
        };
        let mut response = GetStatusResponse {
            state: state.into(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            circle: self.0.circle.clone(),
            crypto_provider: m2_crypto::provider::default().name().to_owned(),
            ..GetStatusResponse::default()
        };
        if let Ok(ready) = self.0.ready() {
            fill(&mut response, ready).await?;
        }
        Ok(Response::new(response))
    }

    async fn unlock(
        &self,
        request: Request<UnlockRequest>,
    ) -> Result<Response<UnlockResponse>, Status> {
        self.0.unlock(request.into_inner().passphrase).await?;
        Ok(Response::new(UnlockResponse {}))
    }
}

async fn fill(response: &mut GetStatusResponse, ready: &Ready) -> Result<(), Status> {
    let summary = ready.engine.read(|engine| engine.summary()).await?;
    let queued = ready.readers.read(|reader| reader.queued()).await?;
    response.peer_id = ready.peer_id.to_string();
    response.listen_addresses = ready
        .endpoint
        .local_addrs()
        .iter()
        .map(ToString::to_string)
        .collect();
    response.sessions = summary.sessions;
    response.contacts = summary.contacts;
    response.queued_messages = queued.iter().map(|(_, count)| count).sum();
    response.warnings = ready.warnings.clone();
    response.warnings.extend(summary.warnings);
    response.mailbox_server = match &ready.mailbox {
        Some(server) => Some(mailbox_server(server.health().await)),
        None => None,
    };
    let stats = ready.endpoint.stats();
    response.session_keys_ready = u32::try_from(stats.keys_ready).unwrap_or(u32::MAX);
    response.session_keys_wanted = u32::try_from(stats.keys_wanted).unwrap_or(u32::MAX);
    let refused = ready.counters.snapshot().into_iter().chain(stats.counters);
    response
        .refused
        .extend(refused.map(|(name, count)| (name.to_owned(), count)));
    Ok(())
}

fn mailbox_server(health: ServerHealth) -> MailboxServer {
    let totals = health.totals.unwrap_or_default();
    MailboxServer {
        available: health.totals.is_some(),
        boxes: totals.boxes,
        letters: totals.letters,
        bytes: totals.bytes,
        deposited: health.deposited,
    }
}
