//! Tells the daemon what became of a backup, so that `m2 status` and `m2 doctor` show it.

use m2_proto::api::v1::{BackupOutcome, GetStatusRequest, ReportBackupRequest};
use m2_proto::client::Client;

use crate::context::{Context, call};

/// Reports an outcome. A daemon that does not take it changes nothing about the backup, so errors are ignored.
pub(super) async fn send(client: &Client, outcome: BackupOutcome) {
    let request = ReportBackupRequest {
        outcome: outcome.into(),
    };
    let _ = call(client.backups().report_backup(request)).await;
}

/// Reports a rehearsal if a daemon runs with the identity of the backup.
pub(super) async fn of_rehearsal(peer_id: &str, succeeded: bool, context: &Context) {
    let Ok(client) = context.client().await else {
        return;
    };
    let status = call(client.daemon().get_status(GetStatusRequest {})).await;
    if status.is_ok_and(|status| status.peer_id == peer_id) {
        let outcome = match succeeded {
            true => BackupOutcome::Rehearsed,
            false => BackupOutcome::Failed,
        };
        send(&client, outcome).await;
    }
}
