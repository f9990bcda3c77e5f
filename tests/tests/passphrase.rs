//! Passphrases: set, changed and removed while the daemon is stopped, reported according to the key
//! file, and read only from files that no other user can read.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use m2_proto::api::v1::{DaemonState, ListInvitationsRequest};
use m2_tests::harness::{Binaries, Daemon, Output, Setup};
use m2_tests::scenario::Api;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

const SET: &[&str] = &["passphrase", "set", "--new-passphrase-file", "-"];
const CHANGE: &[&str] = &[
    "passphrase",
    "change",
    "--passphrase-file",
    "-",
    "--new-passphrase-file",
    "-",
];
const REMOVE: &[&str] = &["passphrase", "remove", "--passphrase-file", "-"];

#[tokio::test]
async fn setting_changing_and_removing_a_passphrase_keeps_identity_and_store() {
    let mut daemon = Daemon::start(Setup::new().identity("alice")).await.unwrap();
    let id = daemon.status().await.unwrap().peer_id;
    Api::of(&daemon)
        .await
        .unwrap()
        .invite(true, "")
        .await
        .unwrap();
    assert!(is_unprotected(&daemon).await);
    // Refused while a daemon runs.
    assert_eq!(daemon.m2d(SET, "one\n").await.unwrap().code, Some(4));
    daemon.stop().await.unwrap();

    refused(&daemon, REMOVE, "one\n", 2, "no passphrase").await;
    refused(&daemon, CHANGE, "one\ntwo\n", 2, "no passphrase").await;
    refused(&daemon, SET, "\r\n", 2, "empty").await;
    daemon.m2d(SET, "one\r\n").await.unwrap().success().unwrap();
    opens_with(&mut daemon, "one", &id).await;

    refused(&daemon, SET, "two\n", 2, "already").await;
    refused(&daemon, CHANGE, "wrong\ntwo\n", 3, "passphrase").await;
    refused(&daemon, CHANGE, "one\n\n", 2, "empty").await;
    daemon
        .m2d(CHANGE, "one\ntwo")
        .await
        .unwrap()
        .success()
        .unwrap();
    opens_with(&mut daemon, "two", &id).await;

    refused(&daemon, REMOVE, "one\n", 3, "passphrase").await;
    daemon
        .m2d(REMOVE, "two\n")
        .await
        .unwrap()
        .success()
        .unwrap();
    daemon.restart().await.unwrap();
    assert_eq!(daemon.status().await.unwrap().peer_id, id);
    assert!(is_unprotected(&daemon).await);
    assert_eq!(invitations(&daemon).await, 1);
}

#[tokio::test]
async fn the_warning_follows_the_key_file_and_not_the_setting() {
    let setup = Setup::new()
        .identity("alice")
        .tables("[identity]\npassphrase_file = \"pass\"\n");
    let mut daemon = Daemon::prepare(setup).unwrap();
    let file = daemon.config().with_file_name("pass");
    private(&file, "one\n");
    daemon.restart().await.unwrap();
    assert!(is_unprotected(&daemon).await, "the key is in clear");
    daemon.stop().await.unwrap();

    daemon.m2d(SET, "one").await.unwrap().success().unwrap();
    daemon.restart().await.unwrap();
    assert_eq!(daemon.status().await.unwrap().state(), DaemonState::Ready);
    assert!(!is_unprotected(&daemon).await, "the key is encrypted");
    daemon.stop().await.unwrap();

    // An empty file is not a passphrase: the daemon waits for one.
    private(&file, "\n");
    daemon.restart().await.unwrap();
    assert_eq!(daemon.status().await.unwrap().state(), DaemonState::Locked);
}

#[tokio::test]
async fn an_empty_passphrase_file_protects_nothing_and_is_reported() {
    let setup = Setup::new()
        .identity("bob")
        .tables("[identity]\npassphrase_file = \"pass\"\n");
    let mut daemon = Daemon::prepare(setup).unwrap();
    private(&daemon.config().with_file_name("pass"), "");
    daemon.restart().await.unwrap();
    let warnings = daemon.status().await.unwrap().warnings.join("\n");
    assert!(warnings.contains("is empty"), "{warnings}");
    assert!(is_unprotected(&daemon).await);
    let checked = check(&daemon.config());
    assert_eq!(checked.status.code(), Some(3), "{checked:?}");
}

#[tokio::test]
async fn an_unusable_secret_file_is_never_skipped() {
    let open = tempfile::Builder::new()
        .permissions(fs::Permissions::from_mode(0o755))
        .tempdir()
        .unwrap();
    let pass = open.path().join("pass");
    fs::write(&pass, "one").unwrap();
    fs::set_permissions(&pass, fs::Permissions::from_mode(0o644)).unwrap();
    let tables = format!("[identity]\npassphrase_file = {pass:?}\n");
    ends(Setup::new().tables(&tables), 3, &["chmod 600", "mode 0644"]).await;

    let loops = tempfile::tempdir().unwrap();
    let credential = loops.path().join("m2d-passphrase");
    std::os::unix::fs::symlink(&credential, &credential).unwrap();
    let directory = loops.path().to_str().unwrap();
    let setup = Setup::new().environment("CREDENTIALS_DIRECTORY", directory);
    ends(setup, 3, &["m2d-passphrase"]).await;

    let secret = open.path().join("circle.key");
    fs::write(&secret, "11".repeat(32)).unwrap();
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o640)).unwrap();
    let tables = format!("[circle]\nname = \"home\"\nsecret_file = {secret:?}\n");
    ends(Setup::new().tables(&tables), 2, &["chmod 600", "mode 0640"]).await;
}

#[tokio::test]
async fn check_config_names_its_file_and_checks_the_files_in_it() {
    let directory = tempfile::tempdir().unwrap();
    let config = directory.path().join("m2d.toml");
    fs::write(&config, "[identity]\npassphrase_file = \"sub/pass\"\n").unwrap();
    let missing = check(&config);
    assert_eq!(missing.status.code(), Some(3), "{missing:?}");
    let place = directory.path().join("sub").join("pass");
    assert!(text(&missing.stderr).contains(place.to_str().unwrap()));

    fs::create_dir(place.parent().unwrap()).unwrap();
    private(&place, "one\n");
    let fine = check(&config);
    assert!(fine.status.success(), "{fine:?}");
    assert!(text(&fine.stdout).contains(config.to_str().unwrap()));

    let home = directory.path().join("home");
    fs::create_dir(&home).unwrap();
    let without = Command::new(&Binaries::get().unwrap().m2d)
        .arg("check-config")
        .env("HOME", &home)
        .env_remove("XDG_CONFIG_HOME")
        .output()
        .unwrap();
    assert!(without.status.success(), "{without:?}");
    let said = text(&without.stdout);
    assert!(
        said.contains("no file") && said.contains("m2d.toml"),
        "{said}"
    );
}

#[tokio::test]
async fn m2_and_m2d_read_the_same_passphrase_from_one_file() {
    let mut daemon = Daemon::prepare(Setup::new().identity("alice")).unwrap();
    let file = daemon.config().with_file_name("pass");
    let path = file.to_str().unwrap();
    for content in ["open sesame\r\n", "open sesame\r", "\u{feff}open \n\n"] {
        private(&file, content);
        let set = ["passphrase", "set", "--new-passphrase-file", path];
        daemon.m2d(&set, "").await.unwrap().success().unwrap();
        daemon.restart().await.unwrap();
        let unlock = ["unlock", "--passphrase-file", path];
        daemon.m2(&unlock).await.unwrap().success().unwrap();
        daemon.stop().await.unwrap();
        let remove = ["passphrase", "remove", "--passphrase-file", path];
        daemon.m2d(&remove, "").await.unwrap().success().unwrap();
    }
}

/// Asserts that the command fails with these words and leaves the key unchanged.
async fn refused(daemon: &Daemon, command: &[&str], input: &str, code: i32, words: &str) {
    let key = daemon.data().join("identity.pem");
    let before = fs::read(&key).unwrap();
    let output: Output = daemon.m2d(command, input).await.unwrap();
    assert_eq!(output.code, Some(code), "{command:?}: {}", output.stderr);
    assert!(output.stderr.contains(words), "{}", output.stderr);
    assert_eq!(fs::read(&key).unwrap(), before);
}

/// Asserts that the daemon starts locked, opens with the passphrase, and has all of its data.
async fn opens_with(daemon: &mut Daemon, passphrase: &str, id: &str) {
    let key = daemon.data().join("identity.pem");
    assert_eq!(
        fs::metadata(&key).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let file = daemon.config().with_file_name("opens");
    private(&file, passphrase);
    daemon.restart().await.unwrap();
    assert_eq!(daemon.status().await.unwrap().state(), DaemonState::Locked);
    let unlock = ["unlock", "--passphrase-file", file.to_str().unwrap()];
    daemon.m2(&unlock).await.unwrap().success().unwrap();
    assert_eq!(daemon.status().await.unwrap().peer_id, id);
    assert!(!is_unprotected(daemon).await);
    assert_eq!(invitations(daemon).await, 1);
    daemon.stop().await.unwrap();
}

/// Asserts that a start fails with this code and these words, and creates no key.
async fn ends(setup: Setup, code: i32, words: &[&str]) {
    let mut daemon = Daemon::prepare(setup).unwrap();
    daemon.spawn().unwrap();
    let status = daemon.ended().await.unwrap();
    assert_eq!(status.code(), Some(code), "{}", daemon.log());
    for word in words {
        assert!(daemon.log().contains(word), "{}", daemon.log());
    }
    assert!(!daemon.data().join("identity.pem").exists());
}

async fn is_unprotected(daemon: &Daemon) -> bool {
    let warnings = daemon.status().await.unwrap().warnings;
    warnings
        .iter()
        .any(|warning| warning.contains("not protected by a passphrase"))
}

async fn invitations(daemon: &Daemon) -> usize {
    let client = daemon.client().await.unwrap();
    let request = ListInvitationsRequest {};
    let answer = client.invitations().list_invitations(request).await;
    answer.unwrap().into_inner().invitations.len()
}

fn private(path: &Path, content: &str) {
    fs::write(path, content).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

fn check(config: &Path) -> std::process::Output {
    Command::new(&Binaries::get().unwrap().m2d)
        .args(["check-config", "--config"])
        .arg(config)
        .current_dir("/")
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
