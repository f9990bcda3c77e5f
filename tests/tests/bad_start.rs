//! Starts that fail: each reports its cause with the matching exit code, and disturbs no running
//! daemon.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use m2_tests::harness::{Binaries, Daemon, Setup};
use m2_tests::scenario::{PATIENCE, Pair};
use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use tokio::time::timeout;

#[tokio::test]
async fn a_second_daemon_does_not_disturb_the_first() {
    let pair = Pair::start().await.unwrap();
    let (alice, bob) = pair.apis().await.unwrap();
    // The same data directory, another socket.
    let elsewhere = tempfile::tempdir().unwrap();
    let socket = elsewhere.path().join("m2d.sock");
    let second = m2d(&pair.alice.config(), &pair.alice.data(), &socket).await;
    assert_eq!(second.status.code(), Some(4), "{second:?}");
    assert!(complaint(&second).contains("Another m2d"), "{second:?}");
    assert!(!socket.exists());
    // The same socket, another data directory.
    let data = elsewhere.path().join("data");
    let second = m2d(&pair.alice.config(), &data, &pair.alice.socket()).await;
    assert_eq!(second.status.code(), Some(4), "{second:?}");
    assert!(complaint(&second).contains("m2d.sock"), "{second:?}");
    // `init` on a data directory that is in use.
    let init = Command::new(&Binaries::get().unwrap().m2d)
        .args(["init", "--config"])
        .arg(pair.alice.config())
        .arg("--data-dir")
        .arg(pair.alice.data())
        .output()
        .unwrap();
    assert_eq!(init.status.code(), Some(4), "{init:?}");

    alice.send("bob", "still here").await.unwrap();
    bob.await_text("alice", "still here").await.unwrap();
}

#[tokio::test]
async fn an_unusable_data_directory_is_reported() {
    let directory = tempfile::tempdir().unwrap();
    let (config, socket) = (
        directory.path().join("m2d.toml"),
        directory.path().join("s"),
    );
    fs::write(&config, "").unwrap();
    let file = directory.path().join("file");
    fs::write(&file, "not a directory").unwrap();
    for data in [file.clone(), file.join("below")] {
        let refused = m2d(&config, &data, &socket).await;
        assert_eq!(refused.status.code(), Some(2), "{refused:?}");
        let complaint = complaint(&refused);
        assert!(complaint.contains(data.to_str().unwrap()), "{complaint}");
    }
    assert_eq!(fs::read_to_string(&file).unwrap(), "not a directory");
    read_only(directory.path(), &config, &socket).await;
}

/// Root can write everywhere, so there is nothing to test as root.
async fn read_only(directory: &Path, config: &Path, socket: &Path) {
    let data = directory.join("data");
    fs::create_dir(&data).unwrap();
    let mut permissions = fs::metadata(&data).unwrap().permissions();
    permissions.set_readonly(true);
    fs::set_permissions(&data, permissions).unwrap();
    if fs::write(data.join("probe"), "").is_ok() {
        return;
    }
    let refused = m2d(config, &data, socket).await;
    assert_eq!(refused.status.code(), Some(2), "{refused:?}");
    let complaint = complaint(&refused);
    assert!(complaint.contains(data.to_str().unwrap()), "{complaint}");
}

#[tokio::test]
async fn an_invalid_configuration_is_reported_with_its_key_and_line() {
    let cases = [
        (
            "[network]\nlisten = [\"127.0.0.1:0\"]\nport = 3\n",
            "port",
            Some(3),
        ),
        ("[netwrk]\n", "netwrk", Some(1)),
        (
            "\n[network]\nsession_keys = \"many\"\n",
            "session_keys",
            Some(3),
        ),
        ("[network]\nlisten = [\"nowhere\"]\n", "listen", Some(2)),
        ("[network\n", "", Some(1)),
        ("[network]\nsession_keys = 1\n", "session_keys", None),
        ("[network]\nlisten = []\n", "listen", None),
        ("[store]\nmax_outbox = 0\n", "max_outbox", None),
        ("[circle]\nname = \"home\"\n", "secret_file", None),
        (
            "[circle]\nsecret_file = \"/nowhere/at/all\"\n",
            "/nowhere/at/all",
            None,
        ),
        ("[lookup]\ndht = 1\n", "dht", Some(2)),
        ("[lookup]\ndht_timeout_ms = 1\n", "dht_timeout_ms", None),
        (
            "[lookup]\ndht_bootstrap = [\"nowhere\"]\n",
            "dht_bootstrap",
            None,
        ),
        ("[mailbox]\nserve = \"yes\"\n", "serve", Some(2)),
        ("[mailbox]\nbox_spent = 0\n", "box_spent", None),
        ("[mailbox]\nreplicas = 9\n", "replicas", None),
        ("[log]\nfilter = \"m2d=loudly\"\n", "filter", None),
    ];
    let directory = tempfile::tempdir().unwrap();
    let config = directory.path().join("m2d.toml");
    let data = directory.path().join("data");
    for (text, key, line) in cases {
        fs::write(&config, text).unwrap();
        let refused = m2d(&config, &data, &directory.path().join("s")).await;
        let said = complaint(&refused);
        assert_eq!(refused.status.code(), Some(2), "{text}: {said}");
        assert!(said.contains(key), "{text}: {said}");
        if let Some(line) = line {
            assert!(said.contains(&format!("line {line}")), "{text}: {said}");
        }
    }
    // The failed starts created nothing.
    assert!(!data.exists());
    let missing = m2d(&directory.path().join("missing.toml"), &data, &config).await;
    assert_eq!(missing.status.code(), Some(2));
    assert!(complaint(&missing).contains("missing.toml"));
}

#[tokio::test]
async fn check_config_reports_errors_without_a_start() {
    let directory = tempfile::tempdir().unwrap();
    let config = directory.path().join("m2d.toml");
    let check = |text: &str| {
        fs::write(&config, text).unwrap();
        Command::new(&Binaries::get().unwrap().m2d)
            .args(["check-config", "--config"])
            .arg(&config)
            .output()
            .unwrap()
    };
    assert!(check("[log]\njson = true\n").status.success());
    let wrong = check("[log]\njson = 1\n");
    assert_eq!(wrong.status.code(), Some(2));
    assert!(complaint(&wrong).contains("json"), "{wrong:?}");
}

#[tokio::test]
async fn an_address_in_use_is_reported() {
    let taken = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let listen = format!("listen = [\"{address}\"]");
    let setup = Setup::new().identity("alice").network(&listen);
    let mut daemon = Daemon::prepare(setup).unwrap();
    daemon.spawn().unwrap();
    let status = daemon.ended().await.unwrap();
    assert_eq!(status.code(), Some(6));
    assert!(daemon.log().contains(&address), "{}", daemon.log());
    // launchd restarts a service after every exit code except 0.
    let setup = Setup::new().network(&listen).argument("--launchd");
    let mut agent = Daemon::prepare(setup).unwrap();
    agent.spawn().unwrap();
    assert_eq!(agent.ended().await.unwrap().code(), Some(0));
    assert!(agent.log().contains(&address), "{}", agent.log());
    // The failed start leaves nothing behind that prevents the next one.
    drop(taken);
    daemon.restart().await.unwrap();
}

#[tokio::test]
async fn a_damaged_key_file_is_reported_and_never_replaced() {
    let mut daemon = Daemon::prepare(Setup::new().identity("alice")).unwrap();
    let file = daemon.data().join("identity.pem");
    let whole = fs::read_to_string(&file).unwrap();
    for damaged in [
        "",
        "hello",
        &whole[..whole.len() / 2],
        &whole.replace('A', "B"),
    ] {
        fs::write(&file, damaged).unwrap();
        daemon.spawn().unwrap();
        let status = daemon.ended().await.unwrap();
        assert_eq!(status.code(), Some(5), "{status}");
        assert!(daemon.log().contains("key file"), "{}", daemon.log());
        // The damaged file is never replaced by a new key.
        assert_eq!(fs::read_to_string(&file).unwrap(), damaged);
    }
}

async fn m2d(config: &Path, data: &Path, socket: &Path) -> Output {
    let mut command = tokio::process::Command::new(&Binaries::get().unwrap().m2d);
    command
        .args(["run", "--config"])
        .arg(config)
        .arg("--data-dir")
        .arg(data)
        .arg("--socket")
        .arg(socket)
        .kill_on_drop(true);
    let output = timeout(PATIENCE, command.output()).await;
    output.expect("the daemon runs but should not").unwrap()
}

fn complaint(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}
