//! The bridge as a process.

use m2_tests::harness::{Binaries, Daemon};
use m2_tests::scenario::{PATIENCE, eventually};
use rustix::process::{Pid, Signal, kill_process};
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

/// A bridge, with its state across restarts.
pub(crate) struct Bridge {
    process: Option<Child>,
    log: Arc<Mutex<String>>,
    state: TempDir,
    socket: PathBuf,
    url: String,
    token: String,
    arguments: Vec<String>,
}

impl Bridge {
    pub(crate) fn start(daemon: &Daemon, url: &str, token: &str, arguments: &[&str]) -> Self {
        let mut bridge = Self {
            process: None,
            log: Arc::default(),
            state: tempfile::tempdir().unwrap(),
            socket: daemon.socket(),
            url: url.to_owned(),
            token: token.to_owned(),
            arguments: arguments.iter().map(|&it| it.to_owned()).collect(),
        };
        bridge.restart();
        bridge
    }

    /// Starts the bridge again with the same state.
    pub(crate) fn restart(&mut self) {
        let mut process = Command::new(Binaries::beside("m2-mqtt").unwrap())
            .args(["--url", &self.url])
            .arg("--socket")
            .arg(&self.socket)
            .arg("--state-dir")
            .arg(self.state.path())
            .args(&self.arguments)
            .env("M2_TOKEN", &self.token)
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
        let log = self.log.clone();
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                log.lock().unwrap().push_str(&(line + "\n"));
            }
        });
        self.process = Some(process);
    }

    pub(crate) async fn kill9(&mut self) {
        self.process.take().unwrap().kill().await.unwrap();
    }

    /// Waits until the bridge has ended by itself.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        let process = self.process.as_mut().unwrap();
        timeout(PATIENCE, process.wait()).await.unwrap().unwrap()
    }

    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Waits until the log contains a text.
    pub(crate) async fn await_log(&self, text: &str) {
        let what = format!("{text} in the log");
        let logged = eventually(&what, async || Ok(self.log().contains(text).then_some(())));
        logged
            .await
            .unwrap_or_else(|error| panic!("{error}:\n{}", self.log()));
    }

    pub(crate) fn token(&self) -> &str {
        &self.token
    }

    fn pid(&self) -> u32 {
        self.process.as_ref().and_then(Child::id).unwrap()
    }

    /// Stops the process with SIGSTOP, or resumes it.
    pub(crate) fn freeze(&self, frozen: bool) {
        let pid = Pid::from_raw(i32::try_from(self.pid()).unwrap()).unwrap();
        let signal = if frozen { Signal::STOP } else { Signal::CONT };
        kill_process(pid, signal).unwrap();
    }

    /// Returns the memory of the process in KiB.
    pub(crate) fn rss_kib(&self) -> u64 {
        let path = format!("/proc/{}/status", self.pid());
        let status = std::fs::read_to_string(path).unwrap();
        let line = status
            .lines()
            .find(|line| line.starts_with("VmRSS:"))
            .unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }
}
