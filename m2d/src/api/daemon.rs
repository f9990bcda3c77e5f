//! `DaemonService`.

use super::session::{ApiState, Ready};
use super::{convert, diagnostics};
use crate::log;
use m2_engine::Query;
use m2_engine::Refusal;
use m2_mailbox::server::ServerHealth;
use m2_net::counters::Counter;
use m2_proto::api::v1::daemon_service_server::DaemonService;
use m2_proto::api::v1::{
    DaemonState, GetDiagnosticsRequest, GetDiagnosticsResponse, GetStatusRequest,
    GetStatusResponse, MailboxServer, UnlockRequest, UnlockResponse,
};
use m2_sqlite::Fault;
use m2_store::{StoreFile, free_bytes};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;
use tonic::{Request, Response, Status};

/// The free space in bytes below which the user is warned.
const LOW_BYTES: u64 = 64 << 20;

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
            warnings: self.0.connections.warnings(Instant::now()),
            ..GetStatusResponse::default()
        };
        response.warnings.extend(self.0.reloaded.warnings());
        if let Ok(ready) = self.0.ready() {
            fill(&mut response, ready).await?;
        }
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

async fn fill(response: &mut GetStatusResponse, ready: &Ready) -> Result<(), Status> {
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
    response.warnings.extend(ready.warnings.iter().cloned());
    response.warnings.extend(summary.warnings);
    response
        .warnings
        .extend(store_warnings(ready.readers.store()));
    response.warnings.extend(task_warnings(ready));
    if let Some(server) = &ready.mailbox {
        let health = server.health().await;
        response.warnings.extend(mailbox_warning(&health));
        response.mailbox_server = Some(mailbox_server(health));
    }
    let stats = ready.endpoint.stats();
    let number = |keys: usize| Some(u32::try_from(keys).unwrap_or(u32::MAX));
    response.session_keys_ready = number(stats.keys_ready);
    response.session_keys_wanted = number(stats.keys_wanted);
    count(response, ready.counters.snapshot());
    count(response, stats.counters);
    Ok(())
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

/// Returns a default value if the store can't be read: the warnings then explain the fault.
fn known<T: Default>(read: Result<T, Refusal>) -> Result<T, Refusal> {
    match read {
        Err(refusal) if refusal.fault.is_some() => Ok(T::default()),
        other => other,
    }
}

pub(super) fn store_warnings(store: &StoreFile) -> Vec<String> {
    let fault = store.health().fault();
    let mut warnings: Vec<_> = fault
        .map(|fault| fault.warning().to_owned())
        .into_iter()
        .collect();
    // Small writes may still fit, so the store may show no fault.
    let free = store.path().parent().and_then(free_bytes);
    if let Some(free) = free.filter(|free| *free < LOW_BYTES)
        && fault != Some(Fault::Full)
    {
        warnings.push(disk_warning(free));
    }
    warnings
}

fn disk_warning(free_bytes: u64) -> String {
    match free_bytes >> 20 {
        0 => "The disk that holds the data directory is full or has less than 1 MiB left: new \
              messages may not be stored. Make room; the daemon continues by itself."
            .to_owned(),
        mib => format!(
            "The disk that holds the data directory has {mib} MiB left. Make room before it is \
             full: then nothing is stored any more."
        ),
    }
}

fn mailbox_warning(health: &ServerHealth) -> Option<String> {
    match (health.fault, health.totals) {
        (Some(fault), _) => Some(format!("Mailbox for others: {}", fault.warning())),
        (None, None) => Some(
            "Mailbox for others: its store does not answer, and owners and depositors are sent \
             away. The daemon's log says why."
                .to_owned(),
        ),
        (None, Some(_)) => None,
    }
}

pub(super) fn task_warnings(ready: &Ready) -> Vec<String> {
    let mut warnings = ready.tasks.warnings();
    let panics = log::panics();
    if panics > 0 {
        warnings.push(format!(
            "The daemon recovered from {panics} internal errors. Its log says where: report it."
        ));
    }
    warnings
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
