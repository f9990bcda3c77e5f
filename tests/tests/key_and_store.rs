//! The key and the store belong together: if one is missing, the daemon refuses to start or warns, and
//! never replaces it silently.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use m2_tests::harness::{Daemon, Setup};
use m2_tests::scenario::Api;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

#[tokio::test]
async fn a_store_without_its_key_is_refused_before_anything_is_written() {
    let mut daemon = Daemon::start(Setup::new().identity("alice")).await.unwrap();
    let id = daemon.status().await.unwrap().peer_id;
    daemon.stop().await.unwrap();
    let (key, kept) = (
        daemon.data().join("identity.pem"),
        daemon.data().join("kept"),
    );
    fs::rename(&key, &kept).unwrap();

    let before = content(&daemon.data());
    daemon.spawn().unwrap();
    assert_eq!(daemon.ended().await.unwrap().code(), Some(2));
    for word in ["identity.pem", "missing", "m2d restore"] {
        assert!(daemon.log().contains(word), "{}", daemon.log());
    }
    let init = daemon.m2d(&["init"], "").await.unwrap();
    assert_eq!(init.code, Some(2), "{}", init.stderr);
    assert_eq!(content(&daemon.data()), before);

    fs::rename(&kept, &key).unwrap();
    daemon.restart().await.unwrap();
    assert_eq!(daemon.status().await.unwrap().peer_id, id);
}

#[tokio::test]
async fn a_lost_store_is_reported_also_after_a_restart() {
    let mut daemon = Daemon::start(Setup::new().identity("alice")).await.unwrap();
    assert!(!tells_loss(&daemon).await, "it is the first store");
    daemon.restart_cleanly().await;
    assert!(!tells_loss(&daemon).await, "the store is there");

    daemon.stop().await.unwrap();
    for name in ["store.db", "store.db-wal", "store.db-shm"] {
        let _ = fs::remove_file(daemon.data().join(name));
    }
    daemon.restart().await.unwrap();
    assert!(tells_loss(&daemon).await, "the store was removed");
    assert!(
        daemon
            .log()
            .contains("the store of this identity is missing")
    );
    daemon.restart_cleanly().await;
    assert!(
        tells_loss(&daemon).await,
        "a restart does not end the warning"
    );
}

#[tokio::test]
async fn an_empty_store_and_a_key_without_its_store_are_reported() {
    let mut daemon = Daemon::start(Setup::new().identity("bob")).await.unwrap();
    daemon.stop().await.unwrap();
    let alone = Daemon::prepare(Setup::new()).unwrap();
    fs::copy(
        daemon.data().join("identity.pem"),
        alone.data().join("identity.pem"),
    )
    .unwrap();

    fs::write(daemon.data().join("store.db"), "").unwrap();
    let _ = fs::remove_file(daemon.data().join("store.db-wal"));
    daemon.restart().await.unwrap();
    assert!(tells_loss(&daemon).await);

    let mut alone = alone;
    alone.restart().await.unwrap();
    assert!(tells_loss(&alone).await);
}

#[tokio::test]
async fn the_write_ahead_log_of_a_lost_store_is_kept() {
    let mut daemon = Daemon::start(Setup::new().identity("carol")).await.unwrap();
    let api = Api::of(&daemon).await.unwrap();
    api.invite(true, "").await.unwrap();
    daemon.kill9().await.unwrap();
    let (store, log) = (
        daemon.data().join("store.db"),
        daemon.data().join("store.db-wal"),
    );
    let kept = fs::read(&store).unwrap();
    let before = fs::read(&log).unwrap();
    assert!(!before.is_empty());

    fs::remove_file(&store).unwrap();
    for _ in 0..2 {
        daemon.spawn().unwrap();
        assert_eq!(daemon.ended().await.unwrap().code(), Some(2));
        assert!(daemon.log().contains("store.db-wal"), "{}", daemon.log());
        assert_eq!(fs::read(&log).unwrap(), before);
        assert!(!store.exists() || fs::write(&store, "").is_ok());
    }
    // The store and its write-ahead log together are complete again.
    fs::write(&store, kept).unwrap();
    daemon.restart().await.unwrap();
    assert!(!tells_loss(&daemon).await);
}

#[tokio::test]
async fn a_key_or_directory_open_to_other_users_is_reported() {
    let mut daemon = Daemon::prepare(Setup::new().identity("alice")).unwrap();
    let key = daemon.data().join("identity.pem");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    fs::set_permissions(daemon.data(), fs::Permissions::from_mode(0o777)).unwrap();
    daemon.restart().await.unwrap();
    let warnings = daemon.status().await.unwrap().warnings.join("\n");
    for words in ["chmod 600", "mode 0644", "chmod 700", "mode 0777"] {
        assert!(warnings.contains(words), "{warnings}");
        assert!(daemon.log().contains(words), "{}", daemon.log());
    }
    daemon.stop().await.unwrap();
    // With the permissions corrected, the warnings are gone.
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    fs::set_permissions(daemon.data(), fs::Permissions::from_mode(0o700)).unwrap();
    daemon.restart().await.unwrap();
    let warnings = daemon.status().await.unwrap().warnings.join("\n");
    assert!(!warnings.contains("chmod"), "{warnings}");
}

async fn tells_loss(daemon: &Daemon) -> bool {
    let warnings = daemon.status().await.unwrap().warnings;
    warnings
        .iter()
        .any(|warning| warning.contains("missing or empty") && warning.contains("m2d restore"))
}

/// The name and content of every file. The lock file is empty.
fn content(directory: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(directory).unwrap().map(Result::unwrap);
    entries
        .map(|entry| {
            let name = entry.file_name().into_string().unwrap();
            (name, fs::read(entry.path()).unwrap())
        })
        .collect()
}

/// A clean stop followed by a start.
trait Cleanly {
    async fn restart_cleanly(&mut self);
}

impl Cleanly for Daemon {
    async fn restart_cleanly(&mut self) {
        self.stop().await.unwrap();
        self.restart().await.unwrap();
    }
}
