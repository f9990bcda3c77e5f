//! `MailboxService`.

use super::convert;
use super::session::{ApiState, Ready};
use m2_engine::Refusal;
use m2_engine::{MailboxInput, MailboxView, Query};
use m2_proto::api::v1 as pb;
use m2_proto::api::v1::mailbox_service_server::MailboxService;
use m2_store::MailboxState;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep};
use tonic::{Request, Response, Status};

/// How long the collection from all providers may take.
const COLLECT_WITHIN: Duration = Duration::from_secs(30);
/// The interval at which the progress is checked.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// The implementation of the service.
pub(super) struct MailboxApi(pub Arc<ApiState>);

#[tonic::async_trait]
impl MailboxService for MailboxApi {
    async fn register_mailbox(
        &self,
        request: Request<pb::RegisterMailboxRequest>,
    ) -> Result<Response<pb::RegisterMailboxResponse>, Status> {
        let invitation = request.into_inner().invitation;
        let engine = &self.0.ready()?.engine;
        let view = engine
            .call(|reply| MailboxInput::Register(invitation, reply))
            .await?;
        let mailbox = Some(convert::mailbox(view));
        Ok(Response::new(pb::RegisterMailboxResponse { mailbox }))
    }

    async fn list_mailboxes(
        &self,
        _request: Request<pb::ListMailboxesRequest>,
    ) -> Result<Response<pb::ListMailboxesResponse>, Status> {
        let views = boxes(self.0.ready()?).await?;
        let mailboxes = views.into_iter().map(convert::mailbox).collect();
        Ok(Response::new(pb::ListMailboxesResponse { mailboxes }))
    }

    async fn remove_mailbox(
        &self,
        request: Request<pb::RemoveMailboxRequest>,
    ) -> Result<Response<pb::RemoveMailboxResponse>, Status> {
        let provider = request.into_inner().provider;
        let engine = &self.0.ready()?.engine;
        let forgotten = engine
            .call(|reply| MailboxInput::Remove(provider, reply))
            .await?;
        Ok(Response::new(pb::RemoveMailboxResponse { forgotten }))
    }

    async fn rekey_mailbox(
        &self,
        request: Request<pb::RekeyMailboxRequest>,
    ) -> Result<Response<pb::RekeyMailboxResponse>, Status> {
        let provider = request.into_inner().provider;
        let engine = &self.0.ready()?.engine;
        let view = engine
            .call(|reply| MailboxInput::Rekey(provider, reply))
            .await?;
        let mailbox = Some(convert::mailbox(view));
        Ok(Response::new(pb::RekeyMailboxResponse { mailbox }))
    }

    async fn collect_mailboxes(
        &self,
        _request: Request<pb::CollectMailboxesRequest>,
    ) -> Result<Response<pb::CollectMailboxesResponse>, Status> {
        let ready = self.0.ready()?;
        let before = boxes(ready).await?;
        ready.wakes.mail.collect.send_replace(());
        let deadline = Instant::now() + COLLECT_WITHIN;
        let mut now = before.clone();
        while Instant::now() < deadline && !all_emptied(&before, &now) {
            sleep(LOOK_EVERY).await;
            now = boxes(ready).await?;
        }
        let mailboxes = now.into_iter().map(convert::mailbox).collect();
        Ok(Response::new(pb::CollectMailboxesResponse { mailboxes }))
    }
}

async fn boxes(ready: &Ready) -> Result<Vec<MailboxView>, Refusal> {
    ready.engine.read(Query::Mailboxes).await
}

/// Returns whether every open box was emptied since `before`, or its provider did not answer.
fn all_emptied(before: &[MailboxView], now: &[MailboxView]) -> bool {
    let open = now
        .iter()
        .filter(|view| view.row.state == MailboxState::Open);
    open.into_iter().all(|view| {
        let earlier = before.iter().find(|old| old.row.row == view.row.row);
        earlier.is_none_or(|old| {
            view.health.rounds > old.health.rounds || view.health.failures > old.health.failures
        })
    })
}
