//! A failing log never stops the daemon, and the journal gets the priority of each line.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::panic)]

use m2_tests::harness::{Binaries, Daemon, Setup};
use m2_tests::scenario::PATIENCE;
use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::Stdio;
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

/// A daemon whose standard error is `log`.
struct Logging {
    place: Daemon,
    child: Child,
}

impl Logging {
    fn start(setup: Setup, log: Stdio, environment: &[(&str, String)]) -> Self {
        let place = Daemon::prepare(setup).unwrap();
        let child = Command::new(&Binaries::get().unwrap().m2d)
            .args(["run", "--config"])
            .arg(place.config())
            .arg("--data-dir")
            .arg(place.data())
            .arg("--socket")
            .arg(place.socket())
            .envs(environment.iter().cloned())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        Self { place, child }
    }

    async fn is_up(&self) {
        let up = async {
            while self.place.status().await.is_err() {
                sleep(std::time::Duration::from_millis(20)).await;
            }
        };
        timeout(PATIENCE, up).await.unwrap();
    }

    /// Stops the daemon as a service manager does. Returns the exit code.
    async fn stop(&mut self) -> Option<i32> {
        let pid = self.child.id().unwrap();
        let kill = format!("kill -TERM {pid}");
        let sent = Command::new("sh").args(["-c", &kill]).status().await;
        assert!(sent.unwrap().success());
        let ended = timeout(PATIENCE, self.child.wait()).await;
        ended.unwrap().unwrap().code()
    }
}

fn talkative() -> Setup {
    Setup::new()
        .identity("alice")
        .tables("[log]\nfilter = \"trace\"\n")
}

#[tokio::test]
async fn a_log_on_a_full_disk_does_not_stop_the_daemon() {
    let full = File::options().write(true).open("/dev/full").unwrap();
    let mut daemon = Logging::start(talkative(), full.into(), &[]);
    daemon.is_up().await;
    assert_eq!(daemon.stop().await, Some(0));
}

#[tokio::test]
async fn a_log_without_a_reader_does_not_stop_the_daemon() {
    let mut daemon = Logging::start(talkative(), Stdio::piped(), &[]);
    drop(daemon.child.stderr.take());
    daemon.is_up().await;
    assert_eq!(daemon.stop().await, Some(0));
}

/// The pipe is full before the daemon is up: a blocking write would never return.
#[tokio::test]
async fn a_log_reader_that_hangs_does_not_block_the_daemon() {
    let mut daemon = Logging::start(talkative(), Stdio::piped(), &[]);
    let pipe = daemon.child.stderr.take().unwrap();
    daemon.is_up().await;
    for _ in 0..300 {
        daemon.place.status().await.unwrap();
    }
    assert_eq!(daemon.stop().await, Some(0));
    drop(pipe);
}

#[tokio::test]
async fn the_journal_gets_priorities() {
    let directory = tempfile::tempdir().unwrap();
    let (file, stream) = journal(directory.path(), "log");
    let mut daemon = Logging::start(talkative(), file.into(), &[("JOURNAL_STREAM", stream)]);
    daemon.is_up().await;
    assert_eq!(daemon.stop().await, Some(0));
    let log = read(directory.path(), "log");
    assert!(log.lines().all(|line| line.starts_with('<')), "{log}");
    let line = |text: &str| log.lines().find(|line| line.contains(text)).unwrap();
    assert!(line("stopped").starts_with("<6>"), "{log}");
}

#[tokio::test]
async fn the_last_line_of_a_failed_start_has_error_priority_in_the_journal() {
    let directory = tempfile::tempdir().unwrap();
    let (file, stream) = journal(directory.path(), "log");
    let wrong = Setup::new().network("listen_on = 1");
    let mut daemon = Logging::start(wrong, file.into(), &[("JOURNAL_STREAM", stream)]);
    let ended = timeout(PATIENCE, daemon.child.wait()).await.unwrap();
    assert_eq!(ended.unwrap().code(), Some(2));
    let log = read(directory.path(), "log");
    assert!(log.starts_with("<3>m2d: "), "{log}");
}

/// `JOURNAL_STREAM` names another stream, as in a child of a service that inherits the variable.
#[tokio::test]
async fn a_stream_other_than_the_journal_gets_no_priorities() {
    let directory = tempfile::tempdir().unwrap();
    let (_, stream) = journal(directory.path(), "journal");
    let (file, _) = journal(directory.path(), "log");
    let mut daemon = Logging::start(talkative(), file.into(), &[("JOURNAL_STREAM", stream)]);
    daemon.is_up().await;
    assert_eq!(daemon.stop().await, Some(0));
    assert!(!read(directory.path(), "log").contains("<6>"));
}

/// Creates a file. Returns it with its value of systemd's `JOURNAL_STREAM`.
fn journal(directory: &Path, name: &str) -> (File, String) {
    let file = File::create(directory.join(name)).unwrap();
    let metadata = file.metadata().unwrap();
    let stream = format!("{}:{}", metadata.dev(), metadata.ino());
    (file, stream)
}

fn read(directory: &Path, name: &str) -> String {
    let mut text = String::new();
    let mut file = File::open(directory.join(name)).unwrap();
    file.read_to_string(&mut text).unwrap();
    text
}
