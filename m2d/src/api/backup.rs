//! `BackupService`.

use super::session::ApiState;
use crate::backup::{Finished, Part, Protection};
use m2_engine::{BackupOutcome, Input, Refusal};
use m2_proto::api::v1 as pb;
use m2_proto::api::v1::backup_service_server::BackupService;
use m2_proto::api::v1::create_backup_response::Part as PbPart;
use m2_proto::wkt::Timestamp;
use std::sync::Arc;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};
use zeroize::Zeroizing;

/// The implementation of the service.
pub(super) struct BackupApi(pub Arc<ApiState>);

type Stream = futures::stream::BoxStream<'static, Result<pb::CreateBackupResponse, Status>>;

#[tonic::async_trait]
impl BackupService for BackupApi {
    type CreateBackupStream = Stream;

    async fn create_backup(
        &self,
        request: Request<pb::CreateBackupRequest>,
    ) -> Result<Response<Self::CreateBackupStream>, Status> {
        let ready = self.0.ready()?;
        let request = request.into_inner();
        let kind = pb::BackupProtection::try_from(request.protection).unwrap_or_default();
        let passphrase = Zeroizing::new(request.passphrase);
        let parts = ready.backups.start(protection(kind, passphrase)?)?;
        let parts = ReceiverStream::new(parts).map(move |part| {
            let part = convert(part?, kind);
            Ok(pb::CreateBackupResponse { part: Some(part) })
        });
        Ok(Response::new(Box::pin(parts)))
    }

    async fn report_backup(
        &self,
        request: Request<pb::ReportBackupRequest>,
    ) -> Result<Response<pb::ReportBackupResponse>, Status> {
        let engine = &self.0.ready()?.engine;
        let outcome = outcome(request.into_inner().outcome())?;
        let report = |reply| Input::Backup(outcome, reply);
        engine.call(report).await?;
        Ok(Response::new(pb::ReportBackupResponse {}))
    }
}

fn outcome(outcome: pb::BackupOutcome) -> Result<BackupOutcome, Refusal> {
    match outcome {
        pb::BackupOutcome::Kept => Ok(BackupOutcome::Kept),
        pb::BackupOutcome::Rehearsed => Ok(BackupOutcome::Rehearsed),
        pb::BackupOutcome::Failed => Ok(BackupOutcome::Failed),
        pb::BackupOutcome::Unspecified => Err(Refusal::argument(
            "outcome",
            "a BackupOutcome",
            "Outcome must be BACKUP_OUTCOME_KEPT, BACKUP_OUTCOME_REHEARSED or BACKUP_OUTCOME_FAILED.",
        )),
    }
}

fn protection(
    kind: pb::BackupProtection,
    passphrase: Zeroizing<String>,
) -> Result<Protection, Refusal> {
    match kind {
        pb::BackupProtection::Passphrase => by_passphrase(passphrase),
        pb::BackupProtection::Identity => by_identity(&passphrase),
        pb::BackupProtection::Unspecified => Err(Refusal::argument(
            "protection",
            "BACKUP_PROTECTION_PASSPHRASE or BACKUP_PROTECTION_IDENTITY",
            "Protection must be BACKUP_PROTECTION_PASSPHRASE or BACKUP_PROTECTION_IDENTITY.",
        )),
    }
}

fn by_passphrase(passphrase: Zeroizing<String>) -> Result<Protection, Refusal> {
    if passphrase.is_empty() {
        return Err(Refusal::argument(
            "passphrase",
            "not empty",
            "The passphrase of the backup is empty. Choose one.",
        ));
    }
    Ok(Protection::Passphrase(passphrase))
}

fn by_identity(passphrase: &str) -> Result<Protection, Refusal> {
    if !passphrase.is_empty() {
        return Err(Refusal::argument(
            "passphrase",
            "empty",
            "The passphrase must be empty when that of the identity protects the backup.",
        ));
    }
    Ok(Protection::Identity)
}

fn convert(part: Part, kind: pb::BackupProtection) -> PbPart {
    match part {
        Part::Progress(progress) => PbPart::Progress(pb::BackupProgress {
            copied_bytes: progress.copied,
            total_bytes: progress.total,
        }),
        Part::Bytes(bytes) => PbPart::Chunk(bytes),
        Part::Finished(finished) => PbPart::Backup(description(&finished, kind)),
    }
}

fn description(finished: &Finished, kind: pb::BackupProtection) -> pb::Backup {
    let contents = &finished.contents;
    pb::Backup {
        created: Some(Timestamp::from_unix_millis(contents.created_ms)),
        peer_id: contents.peer_id.to_string(),
        circle: contents.circle.clone(),
        contacts: contents.contacts,
        messages: contents.messages,
        file_bytes: finished.bytes,
        sha256: finished.sha256.to_vec(),
        protection: kind.into(),
    }
}
