//! `DaemonService`.

use super::session::{ApiState, Ready, system_ms};
use super::{conditions, convert, diagnostics};
use m2_engine::{Area, BackupTimes, ClockView, Query, Refusal, Warning};
use m2_mailbox::server::ServerHealth;
use m2_net::counters::Counter;
use m2_proto::api::v1::daemon_service_server::DaemonService;
use m2_proto::api::v1::{
    BackupStatus, ClockStatus, DaemonState, GetDiagnosticsRequest, GetDiagnosticsResponse,
    GetStatusRequest, GetStatusResponse, MailboxServer, StorageStatus, UnlockRequest,
    UnlockResponse,
};
use std::collections::BTreeMap;
use std::sync::Arc;
use tonic::{Request, Response, Status};

/// The implementation of the service.
pub(super) struct DaemonApi(pub Arc<ApiState>);

#[tonic::async_trait]
impl DaemonService for DaemonApi {
    async fn get_status(
        &self,
        _request: Request<GetStatusRequest>,
    ) -> Result<Response<GetStatusResponse>, Status> {
        let mut response = GetStatusResponse {
            state: state_of(&self.0).into(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            circle: self.0.circle.clone(),
            crypto_provider: m2_crypto::provider::default().name().to_owned(),
            started: Some(convert::timestamp(self.0.started_ms)),
            storage: Some(StorageStatus {
                free_bytes: self.0.files.free_bytes(),
                store_bytes: self.0.files.store_bytes(),
            }),
            ..GetStatusResponse::default()
        };
        let mut warnings = conditions::of_daemon(&self.0);
        if let Ok(ready) = self.0.ready() {
            warnings.extend(fill(&mut response, ready).await?);
            warnings.extend(report_warnings(&self.0, ready).await?);
        }
        warnings.extend(conditions::of_disk(&self.0));
        conditions::put(&mut response, warnings);
        count(&mut response, self.0.connections.counters());
        Ok(Response::new(response))
    }

    async fn get_diagnostics(
        &self,
        _request: Request<GetDiagnosticsRequest>,
    ) -> Result<Response<GetDiagnosticsResponse>, Status> {
        Ok(Response::new(diagnostics::collect(&self.0).await?))
    }

    async fn unlock(
        &self,
        request: Request<UnlockRequest>,
    ) -> Result<Response<UnlockResponse>, Status> {
        self.0.unlock(request.into_inner().passphrase).await?;
        Ok(Response::new(UnlockResponse {}))
    }
}

/// Returns the daemon's operational state.
pub(super) fn state_of(state: &ApiState) -> DaemonState {
    match (state.stop.is_cancelled(), state.is_ready()) {
        (true, _) => DaemonState::Stopping,
        (false, true) => DaemonState::Ready,
        (false, false) => DaemonState::Locked,
    }
}

/// Fills in what an open daemon knows. Returns its warnings.
async fn fill(response: &mut GetStatusResponse, ready: &Ready) -> Result<Vec<Warning>, Status> {
    let summary = ready.engine.read(Query::Summary).await;
    let summary = known(summary)?;
    let queued = known(ready.readers.read(|reader| reader.queued()).await)?;
    response.peer_id = ready.peer_id.to_string();
    response.listen_addresses = ready
        .endpoint
        .local_addrs()
        .iter()
        .map(ToString::to_string)
        .collect();
    response.sessions = Some(summary.sessions);
    response.contacts = Some(summary.contacts);
    response.queued_messages = Some(queued);
    response.clock = Some(clock(&summary.clock));
    response.backup = Some(backup(&summary.backup));
    let mut warnings = ready.warnings.clone();
    warnings.extend(summary.warnings);
    warnings.extend(conditions::of_parts(ready));
    if let Some(server) = &ready.mailbox {
        let health = server.health().await;
        warnings.extend(conditions::of_mailbox(&health));
        response.mailbox_server = Some(mailbox_server(health));
    }
    let stats = ready.endpoint.stats();
    let number = |keys: usize| Some(u32::try_from(keys).unwrap_or(u32::MAX));
    response.session_keys_ready = number(stats.keys_ready);
    response.session_keys_wanted = number(stats.keys_wanted);
    count(response, ready.counters.snapshot());
    count(response, stats.counters);
    Ok(warnings)
}

fn clock(view: &ClockView) -> ClockStatus {
    ClockStatus {
        compared: u32::try_from(view.compared).unwrap_or(u32::MAX),
        ahead_ms: view.ahead_ms,
        steps: view.steps,
    }
}

fn backup(times: &BackupTimes) -> BackupStatus {
    BackupStatus {
        made: times.made_ms.map(convert::timestamp),
        rehearsed: times.rehearsed_ms.map(convert::timestamp),
        failed: times.failed_ms.map(convert::timestamp),
    }
}

/// Adds each counter to the map of its kind.
pub(super) fn count(response: &mut GetStatusResponse, counters: BTreeMap<&'static str, u64>) {
    for (name, count) in counters {
        let map = match Counter::by_name(name) {
            Some(counter) if counter.is_work() => &mut response.counts,
            _ => &mut response.refused,
        };
        map.insert(name.to_owned(), count);
    }
}

/// Returns warnings about clients that report a failure.
async fn report_warnings(state: &ApiState, ready: &Ready) -> Result<Vec<Warning>, Status> {
    if state.reports.is_empty() {
        return Ok(Vec::new());
    }
    let rows = known(ready.readers.read(|reader| reader.clients()).await)?;
    let lags = rows.into_iter().map(|row| (row.name, row.lag)).collect();
    let texts = state.reports.warnings(&lags, system_ms()).into_iter();
    Ok(texts
        .map(|text| Warning::problem(Area::Events, text))
        .collect())
}

/// Returns a default value if the store can't be read: the warnings then explain the fault.
fn known<T: Default>(read: Result<T, Refusal>) -> Result<T, Refusal> {
    match read {
        Err(refusal) if refusal.fault.is_some() => Ok(T::default()),
        other => other,
    }
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
