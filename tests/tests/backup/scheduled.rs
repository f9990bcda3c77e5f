//! Backups that a timer makes: a directory of which the latest are kept, and a restore for a test after each.

use crate::scene::{Shelf, names};
use m2_tests::harness::{Daemon, Output, Setup};
use std::fs;

const FAILED: &str = "m2-failed.backup";

/// Makes a backup as the unit does.
async fn scheduled(daemon: &Daemon, shelf: &Shelf, keep: &str) -> Output {
    let (directory, right) = (shelf.text("series"), shelf.text("right"));
    let arguments = [
        "--json",
        "backup",
        "create",
        "--passphrase-file",
        &right,
        "--keep",
        keep,
        "--rehearse",
        &directory,
    ];
    let mut command = daemon.m2_command().unwrap();
    command.args(arguments).env("TMPDIR", shelf.path("tmp"));
    let output = command.output().await.unwrap();
    Output {
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

fn shelf() -> Shelf {
    let shelf = Shelf::new();
    for name in ["series", "tmp"] {
        fs::create_dir(shelf.path(name)).unwrap();
    }
    shelf
}

#[tokio::test]
async fn a_series_keeps_the_latest_and_leaves_nothing_of_the_rehearsals() {
    let daemon = Daemon::start(Setup::new().identity("bob")).await.unwrap();
    let shelf = shelf();
    let status = daemon.status().await.unwrap().backup.unwrap();
    assert!(status.made.is_none() && status.rehearsed.is_none());
    let made = scheduled(&daemon, &shelf, "2").await.json().unwrap();
    let made = made.last().unwrap();
    assert_eq!(made["rehearsed"], true);
    let first = made["file"].as_str().unwrap().to_owned();
    for old in [
        "m2-2026-01-01T000000Z.backup",
        "m2-2026-01-02T000000Z.backup",
    ] {
        fs::copy(&first, shelf.path("series").join(old)).unwrap();
    }
    fs::write(
        shelf.path("series").join("m2-2026-01-03T000000Z.backup"),
        "mine",
    )
    .unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(1_100)).await;
    let made = scheduled(&daemon, &shelf, "2").await.json().unwrap();
    let made = made.last().unwrap();
    let deleted = made["deleted"].as_array().unwrap();
    assert_eq!(deleted.len(), 2, "{deleted:?}");
    let left = names(&shelf.path("series"));
    assert_eq!(left.len(), 3, "{left:?}");
    assert!(left.contains(&"m2-2026-01-03T000000Z.backup".to_owned()));
    assert_eq!(names(&shelf.path("tmp")), [""; 0]);
    let status = daemon.status().await.unwrap().backup.unwrap();
    assert!(status.made.is_some() && status.rehearsed.is_some() && status.failed.is_none());
}

#[tokio::test]
async fn a_failure_deletes_no_backup_and_is_shown_until_the_next_success() {
    let daemon = Daemon::start(Setup::new().identity("alice")).await.unwrap();
    let shelf = shelf();
    scheduled(&daemon, &shelf, "1").await.success().unwrap();
    let good = names(&shelf.path("series"));
    // There is no place for the rehearsal.
    fs::remove_dir(shelf.path("tmp")).unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(1_100)).await;
    let failed = scheduled(&daemon, &shelf, "1").await;
    assert_eq!(failed.code, Some(1), "{}", failed.stderr);
    assert!(failed.stderr.contains("TMPDIR"), "{}", failed.stderr);
    let expected = [good, vec![FAILED.to_owned()]].concat();
    assert_eq!(names(&shelf.path("series")), expected);
    let status = daemon.status().await.unwrap();
    assert!(status.backup.unwrap().failed.is_some());
    assert!(
        status
            .warnings
            .iter()
            .any(|it| it.contains("The last backup failed"))
    );

    fs::create_dir(shelf.path("tmp")).unwrap();
    scheduled(&daemon, &shelf, "1").await.success().unwrap();
    let status = daemon.status().await.unwrap();
    assert!(status.backup.unwrap().failed.is_none());
    let left = names(&shelf.path("series"));
    assert_eq!(left.len(), 2, "{left:?}");
}

#[tokio::test]
async fn a_rehearsal_opens_a_key_with_a_passphrase_only_if_it_is_told_it() {
    let mut daemon = Daemon::prepare(Setup::new().identity("bob")).unwrap();
    let shelf = shelf();
    shelf.passphrase("identity", "open sesame");
    daemon
        .m2d(
            &["passphrase", "set", "--new-passphrase-file", "-"],
            "open sesame",
        )
        .await
        .unwrap()
        .success()
        .unwrap();
    daemon.restart().await.unwrap();
    let identity = shelf.text("identity");
    let unlock = ["unlock", "--passphrase-file", &identity];
    daemon.m2(&unlock).await.unwrap().success().unwrap();
    shelf.create(&daemon, "file").await;
    let (file, right) = (shelf.text("file"), shelf.text("right"));
    let rehearse = [
        "--json",
        "backup",
        "rehearse",
        &file,
        "--passphrase-file",
        &right,
    ];
    let told = daemon.m2(&rehearse).await.unwrap().json().unwrap();
    assert_eq!(told[0]["keyOpened"], false);
    let with_key = [&rehearse[..], &["--identity-passphrase-file", &identity]].concat();
    let told = daemon.m2(&with_key).await.unwrap().json().unwrap();
    assert_eq!(told[0]["keyOpened"], true);
    let status = daemon.status().await.unwrap().backup.unwrap();
    assert!(status.rehearsed.is_some());

    // A damaged file is a failure; a wrong passphrase is not one of the backup.
    let wrong = shelf.text("wrong");
    let mistaken = ["backup", "rehearse", &file, "--passphrase-file", &wrong];
    let refused = daemon.m2(&mistaken).await.unwrap();
    assert_eq!(refused.code, Some(1), "{}", refused.stderr);
    assert!(
        daemon
            .status()
            .await
            .unwrap()
            .backup
            .unwrap()
            .failed
            .is_none()
    );
    let mut bytes = fs::read(shelf.path("file")).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::write(shelf.path("file"), bytes).unwrap();
    let refused = daemon.m2(&rehearse).await.unwrap();
    assert_eq!(refused.code, Some(1), "{}", refused.stderr);
    assert!(refused.stderr.contains("damaged"), "{}", refused.stderr);
    assert!(
        daemon
            .status()
            .await
            .unwrap()
            .backup
            .unwrap()
            .failed
            .is_some()
    );
}
