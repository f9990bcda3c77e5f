//! Sockets and directories that a service manager passes.

use m2_tests::harness::Binaries;
use m2_tests::scenario::{Api, PATIENCE, eventually};
use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::path::Path;
use std::process::{Output, Stdio};
use tokio::process::{Child, Command};
use tokio::time::timeout;

const CONFIG: &str = "[network]\nlisten = [\"127.0.0.1:0\"]\n";

/// Returns `m2d run` in a directory as systemd starts it: with the descriptor as number 3.
fn m2d(directory: &Path, passed: impl Into<OwnedFd>, count: u32) -> Command {
    for name in ["state", "run", "config"] {
        fs::create_dir_all(directory.join(name)).unwrap();
    }
    fs::write(directory.join("config/m2d.toml"), CONFIG).unwrap();
    let script = "LISTEN_PID=$$ LISTEN_FDS=$COUNT exec \"$@\" 3<&0 4<&0 0</dev/null";
    let mut command = Command::new("sh");
    command.args(["-c", script, "sh"]);
    command.arg(&Binaries::get().unwrap().m2d).arg("run");
    command.env_clear().env("COUNT", count.to_string());
    let path = |name: &str| directory.join(name);
    // Only the first directory of a list is the daemon's.
    command.env(
        "STATE_DIRECTORY",
        format!("{}:/nonexistent", path("state").display()),
    );
    command.env("CONFIGURATION_DIRECTORY", path("config"));
    command.env("RUNTIME_DIRECTORY", path("run"));
    command.stdin(Stdio::from(passed.into()));
    command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

async fn answers(socket: &Path) {
    // A passed socket takes connections before the daemon does.
    eventually("the daemon", async || match Api::at(socket).await {
        Ok(api) => Ok(api.status().await.ok()),
        Err(_) => Ok(None),
    })
    .await
    .unwrap();
}

async fn stop(child: Child) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(child.id().unwrap()).unwrap());
    rustix::process::kill_process(pid.unwrap(), rustix::process::Signal::TERM).unwrap();
    let output = timeout(PATIENCE, child.wait_with_output()).await.unwrap();
    let output = output.unwrap();
    assert!(output.status.success(), "{output:?}");
}

#[tokio::test]
async fn a_passed_socket_is_served_and_left_as_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("api");
    let listener = UnixListener::bind(&path).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
    let inode = fs::metadata(&path).unwrap().ino();
    let daemon = m2d(directory.path(), listener, 1).spawn().unwrap();
    answers(&path).await;
    assert!(directory.path().join("state/store.db").exists());
    assert!(!directory.path().join("run/m2d.sock").exists());
    stop(daemon).await;
    let after = fs::metadata(&path).unwrap();
    assert_eq!((after.ino(), after.mode() & 0o777), (inode, 0o666));
}

#[tokio::test]
async fn without_a_socket_the_runtime_directory_gets_one() {
    let directory = tempfile::tempdir().unwrap();
    let null = fs::File::open("/dev/null").unwrap();
    let daemon = m2d(directory.path(), null, 0).spawn().unwrap();
    let path = directory.path().join("run/m2d.sock");
    answers(&path).await;
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
    stop(daemon).await;
    assert!(!path.exists());
}

#[tokio::test]
async fn other_sockets_than_one_listener_end_the_start() {
    let directory = tempfile::tempdir().unwrap();
    let listener = || UnixListener::bind(directory.path().join("api"));
    let datagrams = UnixDatagram::unbound().unwrap();
    let refused = ended(m2d(directory.path(), datagrams, 1)).await;
    complains(&refused, "ListenDatagram=");
    let null = fs::File::open("/dev/null").unwrap();
    complains(
        &ended(m2d(directory.path(), null, 1)).await,
        "no Unix socket",
    );
    let two = m2d(directory.path(), listener().unwrap(), 2);
    complains(&ended(two).await, "2 sockets");
    fs::remove_file(directory.path().join("api")).unwrap();
    let mut twice = m2d(directory.path(), listener().unwrap(), 1);
    twice.arg("--socket").arg(directory.path().join("other"));
    complains(&ended(twice).await, "remove --socket");
}

async fn ended(mut command: Command) -> Output {
    timeout(PATIENCE, command.output()).await.unwrap().unwrap()
}

fn complains(refused: &Output, words: &str) {
    let told = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(2), "{told}");
    assert!(told.contains(words), "{told}");
}
