//! The streaming call: bounded memory, one backup at a time, and no leftovers when a caller
//! disconnects.

use crate::scene::{PASSPHRASE, Shelf};
use m2_proto::api::v1::create_backup_response::Part;
use m2_proto::api::v1::{BackupProtection, CreateBackupRequest, CreateBackupResponse};
use m2_proto::reason::Reason;
use m2_tests::harness::{Daemon, Setup};
use m2_tests::scenario::{Api, Pair, eventually};
use std::fs;
use tonic::{Status, Streaming};

fn request() -> CreateBackupRequest {
    CreateBackupRequest {
        protection: BackupProtection::Passphrase.into(),
        passphrase: PASSPHRASE.to_owned(),
    }
}

async fn start(api: &Api) -> Result<Streaming<CreateBackupResponse>, Status> {
    let answer = api.client().backups().create_backup(request()).await?;
    Ok(answer.into_inner())
}

/// Reads the stream up to the first chunk of the file.
async fn begin(api: &Api) -> Result<Streaming<CreateBackupResponse>, Status> {
    let mut parts = start(api).await?;
    while let Some(part) = parts.message().await? {
        if matches!(part.part, Some(Part::Chunk(_))) {
            return Ok(parts);
        }
    }
    Err(Status::internal("the stream ended"))
}

#[tokio::test]
async fn backups_run_one_at_a_time_and_leave_no_copy_behind() {
    let mut pair = Pair::start().await.unwrap();
    let (alice, _) = pair.apis().await.unwrap();
    // More data than the stream and the connection buffer for a caller that does not read.
    for number in 0..120 {
        let text = format!("{number} {}", "x".repeat(40 * 1_024));
        alice.send("bob", &text).await.unwrap();
    }
    let copy = pair.alice.data().join("backup.part");
    let slow = begin(&alice).await.unwrap();
    assert!(copy.exists());
    let second = begin(&alice).await.unwrap_err();
    assert_eq!(Reason::of(&second), Some(Reason::BackupRunning), "{second}");
    // The daemon serves other calls meanwhile.
    alice.send("bob", "meanwhile").await.unwrap();

    drop(slow);
    eventually("the copy to be gone", async || {
        Ok((!copy.exists()).then_some(()))
    })
    .await
    .unwrap();
    let shelf = Shelf::new();
    shelf.create(&pair.alice, "file").await;
    assert!(!copy.exists());

    // A crash leaves the temporary copy; the next start removes it.
    let cut_off = begin(&alice).await.unwrap();
    pair.alice.kill9().await.unwrap();
    drop(cut_off);
    assert!(copy.exists());
    pair.alice.restart().await.unwrap();
    assert!(!copy.exists());
}

#[tokio::test]
async fn requests_without_a_valid_protection_are_refused() {
    let daemon = Daemon::start(Setup::new().identity("alice")).await.unwrap();
    let api = Api::of(&daemon).await.unwrap();
    let cases = [
        (BackupProtection::Unspecified as i32, PASSPHRASE),
        (99, PASSPHRASE),
        (BackupProtection::Passphrase as i32, ""),
        (BackupProtection::Identity as i32, PASSPHRASE),
    ];
    for (protection, passphrase) in cases {
        let request = CreateBackupRequest {
            protection,
            passphrase: passphrase.to_owned(),
        };
        let refused = api.client().backups().create_backup(request).await;
        let status = refused.map(drop).unwrap_err();
        assert_eq!(
            Reason::of(&status),
            Some(Reason::InvalidArgument),
            "{status}"
        );
    }
    let shown = format!("{:?}", request());
    assert!(!shown.contains(PASSPHRASE));
    assert!(fs::metadata(daemon.data().join("backup.part")).is_err());
}
