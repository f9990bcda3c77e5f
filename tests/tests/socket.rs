//! The API's socket: where it is, which files are left alone, and what happens with too many
//! connections.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use m2_tests::harness::{Binaries, Daemon, Setup};
use m2_tests::scenario::{Api, PATIENCE, counted, eventually};
use m2_tests::skip::skip;
use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process, prlimit};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Instant;
use tokio::io::AsyncReadExt as _;
use tokio::net::UnixStream;
use tokio::process::{Child, Command};
use tokio::time::timeout;

/// The default configuration in the home of a test.
const CONFIG: &str = "[network]\nlisten = [\"127.0.0.1:0\"]\n\
                      [lookup]\nlan = false\ndht = false\nmap_port = false\n";

#[tokio::test]
async fn a_file_at_the_path_of_the_socket_is_left_alone() {
    let mut daemon = Daemon::prepare(Setup::new().identity("alice")).unwrap();
    let socket = daemon.socket();
    fs::create_dir_all(socket.parent().unwrap()).unwrap();
    fs::write(&socket, "my only copy").unwrap();
    daemon.spawn().unwrap();
    let status = daemon.ended().await.unwrap();
    assert!(!status.success(), "{status}");
    assert!(daemon.log().contains("is not a socket"), "{}", daemon.log());
    assert_eq!(fs::read_to_string(&socket).unwrap(), "my only copy");
}

#[tokio::test]
async fn a_stopping_daemon_leaves_the_socket_of_another_daemon() {
    let mut first = Daemon::start(Setup::new().identity("alice")).await.unwrap();
    let socket = first.socket();
    fs::remove_file(&socket).unwrap();
    let home = tempfile::tempdir().unwrap();
    let mut second = m2d(home.path());
    let mut second = start(second.arg("run").arg("--socket").arg(&socket));
    eventually("the second daemon", async || {
        Ok(Api::at(&socket).await.ok())
    })
    .await
    .unwrap();
    assert!(first.stop().await.unwrap().success());
    Api::at(&socket).await.unwrap().status().await.unwrap();
    let pid = Pid::from_raw(i32::try_from(second.id().unwrap()).unwrap()).unwrap();
    kill_process(pid, Signal::TERM).unwrap();
    let ended = timeout(PATIENCE, second.wait()).await.unwrap();
    assert!(ended.unwrap().success());
    assert!(!socket.exists());
}

#[tokio::test]
async fn a_daemon_survives_the_end_of_its_terminal() {
    let mut daemon = Daemon::start(Setup::new().identity("alice")).await.unwrap();
    let pid = daemon.pid();
    daemon.signal("HUP").await.unwrap();
    eventually("the signal in the log", async || {
        Ok(daemon.log().contains("SIGHUP").then_some(()))
    })
    .await
    .unwrap();
    daemon.status().await.unwrap();
    assert_eq!(daemon.pid(), pid);
    assert!(daemon.stop().await.unwrap().success());
}

#[tokio::test]
async fn connections_above_the_limit_are_closed() {
    let setup = Setup::new().identity("alice").descriptors(80);
    let daemon = Daemon::start(setup).await.unwrap();
    let api = Api::of(&daemon).await.unwrap();
    api.status().await.unwrap();
    let mut open = Vec::new();
    for _ in 0..80 {
        open.push(UnixStream::connect(daemon.socket()).await.unwrap());
    }
    // The daemon closes the last connections and keeps the first ones.
    let last = open.last_mut().unwrap();
    let closed = timeout(PATIENCE, last.read_to_end(&mut Vec::new())).await;
    closed.expect("the connection stayed open").unwrap();
    let status = api.status().await.unwrap();
    assert!(counted(&status, "API_CONNECTION_LIMIT") >= 40);
    assert_eq!(counted(&status, "API_ACCEPT_FAILED"), 0);
    assert!(has_warning(&status.warnings, "closed because 40"));
    open.clear();
    eventually("a new connection", async || {
        Ok(match Api::of(&daemon).await {
            Ok(api) => api.status().await.ok(),
            Err(_) => None,
        })
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn exhausted_descriptors_cause_no_busy_loop() {
    let daemon = Daemon::start(Setup::new().identity("alice")).await.unwrap();
    let api = Api::of(&daemon).await.unwrap();
    api.status().await.unwrap();
    let pid = daemon.pid().unwrap();
    let process = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    let used = fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count();
    let most = u64::try_from(used).unwrap() + 3;
    let before = prlimit(Some(process), Resource::Nofile, soft(most)).unwrap();
    let start = Instant::now();
    let mut open = Vec::new();
    for _ in 0..20 {
        open.push(UnixStream::connect(daemon.socket()).await.unwrap());
    }
    let failed = async || {
        let status = api.status().await.unwrap();
        (counted(&status, "API_ACCEPT_FAILED"), status.warnings)
    };
    eventually("several attempts", async || {
        Ok((failed().await.0 >= 4).then_some(()))
    })
    .await
    .unwrap();
    // The attempts are at least 0.2 s apart, however many connections wait.
    let (attempts, warnings) = failed().await;
    let at_most = start.elapsed().as_millis() / 200 + 2;
    assert!(u128::from(attempts) <= at_most, "{attempts} of {at_most}");
    assert!(has_warning(&warnings, "file descriptors"), "{warnings:?}");
    assert_eq!(daemon.log().matches("trying again").count(), 1);
    // Once descriptors are available the daemon continues, and serves the connections that waited.
    prlimit(Some(process), Resource::Nofile, before).unwrap();
    let latest = Api::of(&daemon).await.unwrap();
    timeout(PATIENCE, latest.status()).await.unwrap().unwrap();
    // The line is written after the connection was handed on.
    eventually("the line in the log", async || {
        Ok(daemon.log().contains("accepted again").then_some(()))
    })
    .await
    .unwrap();
}

fn soft(limit: u64) -> Rlimit {
    let maximum = rustix::process::getrlimit(Resource::Nofile).maximum;
    Rlimit {
        current: Some(limit),
        maximum,
    }
}

fn has_warning(warnings: &[String], words: &str) -> bool {
    warnings.iter().any(|warning| warning.contains(words))
}

#[tokio::test]
async fn a_path_that_is_too_long_is_reported_with_its_length() {
    let home = tempfile::tempdir().unwrap();
    let socket = home.path().join("d".repeat(120)).join("s");
    let path = socket.to_str().unwrap();
    let length = format!("{} bytes", path.len());
    let mut command = m2d(home.path());
    let daemon = command.args(["run", "--socket", path]).output();
    let daemon = timeout(PATIENCE, daemon).await.unwrap().unwrap();
    assert!(!daemon.status.success());
    let told = String::from_utf8_lossy(&daemon.stderr).into_owned();
    assert!(told.contains(&length) && told.contains("107"), "{told}");
    let mut command = m2(home.path());
    let client = command.args(["--socket", path, "status"]).output().await;
    let client = client.unwrap();
    let told = String::from_utf8_lossy(&client.stderr).into_owned();
    assert_eq!(client.status.code(), Some(3), "{told}");
    assert!(told.contains(&length) && told.contains("107"), "{told}");
    assert!(!told.contains("Only the user"), "{told}");
    assert!(!socket.parent().unwrap().exists());
}

/// The socket's directory is open to other users, as an operator may have set it.
#[tokio::test]
async fn another_user_is_refused_with_a_reason() {
    if !rustix::process::geteuid().is_root() {
        skip("only root can run a program as another user");
        return;
    }
    let daemon = Daemon::start(Setup::new().identity("alice")).await.unwrap();
    let socket = daemon.socket();
    let shared = tempfile::tempdir().unwrap();
    let m2 = shared.path().join("m2");
    fs::copy(&Binaries::get().unwrap().m2, &m2).unwrap();
    open_to_all(&m2, 0o755);
    open_to_all(&socket, 0o666);
    let mut command = Command::new(&m2);
    command.arg("--socket").arg(&socket).arg("status");
    command.uid(65_534).gid(65_534);
    let told = eventually("a file that no process writes", async || {
        // A process that another test starts inherits the descriptor of the copy for a moment.
        match command.output().await {
            Err(error) if error.kind() == std::io::ErrorKind::ExecutableFileBusy => Ok(None),
            told => Ok(Some(told?)),
        }
    });
    let told = told.await.unwrap();
    let words = String::from_utf8_lossy(&told.stderr).into_owned();
    assert!(!told.status.success(), "{words}");
    assert!(
        words.contains("Not allowed") && words.contains("with the id 0"),
        "{words}"
    );
    Api::at(&socket).await.unwrap().status().await.unwrap();
}

/// Makes a file accessible to all users of the computer.
fn open_to_all(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    for above in path.ancestors().skip(1) {
        if above == std::env::temp_dir() || above.parent().is_none() {
            return;
        }
        fs::set_permissions(above, fs::Permissions::from_mode(0o755)).unwrap();
    }
}

#[tokio::test]
async fn front_ends_look_for_the_socket_where_the_daemon_listens() {
    let user = rustix::process::geteuid().as_raw();
    if Path::new(&format!("/run/user/{user}/m2d/m2d.sock")).exists() {
        skip("this user already runs a daemon");
        return;
    }
    let home = tempfile::tempdir().unwrap();
    let runtime = home.path().join("runtime");
    fs::create_dir(&runtime).unwrap();
    fs::set_permissions(&runtime, fs::Permissions::from_mode(0o700)).unwrap();

    // No daemon runs: `m2` lists the paths that it tried.
    let run = m2(home.path())
        .env("XDG_RUNTIME_DIR", &runtime)
        .arg("status")
        .output();
    let run = run.await.unwrap();
    let told = String::from_utf8_lossy(&run.stderr).into_owned();
    assert_eq!(run.status.code(), Some(3), "{told}");
    let places = [runtime.join("m2d/m2d.sock"), in_data(home.path())];
    for place in places {
        assert!(told.contains(place.to_str().unwrap()), "{told}");
    }

    // The socket in the runtime directory, with an empty M2_SOCKET.
    let mut daemon = start(m2d(home.path()).arg("run").env("XDG_RUNTIME_DIR", &runtime));
    let with = || {
        let mut command = m2(home.path());
        command
            .env("XDG_RUNTIME_DIR", &runtime)
            .env("M2_SOCKET", "");
        command
    };
    answers(with).await;
    let without = m2(home.path()).arg("status").output().await.unwrap();
    let told = String::from_utf8_lossy(&without.stderr).into_owned();
    assert_eq!(without.status.code(), Some(3), "{told}");
    assert!(told.contains("XDG_RUNTIME_DIR is not set"), "{told}");
    daemon.kill().await.unwrap();

    // The socket that M2_SOCKET names.
    let named = home.path().join("named.sock");
    let mut daemon = start(m2d(home.path()).arg("run").env("M2_SOCKET", &named));
    answers(|| {
        let mut command = m2(home.path());
        command.env("M2_SOCKET", &named);
        command
    })
    .await;
    daemon.kill().await.unwrap();

    // The socket in the data directory, although a stale one is in the runtime directory.
    let socket = in_data(home.path());
    let mut command = m2d(home.path());
    let mut daemon = start(command.arg("run").arg("--socket").arg(&socket));
    answers(with).await;
    daemon.kill().await.unwrap();
}

fn in_data(home: &Path) -> std::path::PathBuf {
    home.join(".local/share/m2d/run/m2d.sock")
}

/// `m2d` with only a home in its environment.
fn m2d(home: &Path) -> Command {
    let config = home.join(".config/m2d");
    fs::create_dir_all(&config).unwrap();
    fs::write(config.join("m2d.toml"), CONFIG).unwrap();
    bare(&Binaries::get().unwrap().m2d, home)
}

/// `m2` with only a home in its environment.
fn m2(home: &Path) -> Command {
    bare(&Binaries::get().unwrap().m2, home)
}

fn bare(program: &Path, home: &Path) -> Command {
    let mut command = Command::new(program);
    command.env_clear().env("HOME", home).kill_on_drop(true);
    command
}

fn start(command: &mut Command) -> Child {
    command.stderr(std::process::Stdio::null()).spawn().unwrap()
}

/// Waits until this front-end command reaches the daemon.
async fn answers(command: impl Fn() -> Command) {
    eventually("the daemon to be found", async || {
        let run = command().arg("status").output().await?;
        Ok(run.status.success().then_some(()))
    })
    .await
    .unwrap();
}
