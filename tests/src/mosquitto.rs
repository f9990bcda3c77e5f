//! A real mosquitto on loopback, for tests.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test helper: a failure ends the test"
)]

use crate::skip::skip;
use rustix::process::{Pid, Signal, kill_process};
use std::fs::{self, File};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::Duration;
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::time::sleep;

/// A broker with its data. Dropping it kills it.
#[derive(Debug)]
pub struct Mosquitto {
    program: PathBuf,
    directory: TempDir,
    port: u16,
    process: Option<Child>,
}

impl Mosquitto {
    /// Starts a broker with further lines of configuration. Returns `None`, and reports the test as skipped, if mosquitto
    /// is not installed.
    pub async fn start(lines: &str) -> Option<Self> {
        let broker = Self::prepare(free_port(), lines)?;
        Some(broker.started().await)
    }

    /// Starts a broker on a port that another one has left.
    pub async fn start_at(port: u16) -> Option<Self> {
        let broker = Self::prepare(port, "allow_anonymous true\n")?;
        Some(broker.started().await)
    }

    fn prepare(port: u16, lines: &str) -> Option<Self> {
        let Some(program) = program() else {
            skip("mosquitto is not installed");
            return None;
        };
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().display();
        // As root, mosquitto would change to a user that can't write here.
        let config = format!(
            "listener {port} 127.0.0.1\nuser root\npersistence true\npersistence_location {path}/\n\
             autosave_interval 1\nautosave_on_changes true\nmax_queued_messages 0\n{}",
            lines.replace("DIRECTORY", &path.to_string()),
        );
        fs::write(directory.path().join("mosquitto.conf"), config).unwrap();
        Some(Self {
            program,
            directory,
            port,
            process: None,
        })
    }

    async fn started(mut self) -> Self {
        self.restart().await;
        self
    }

    /// Starts the broker again with its data.
    pub async fn restart(&mut self) {
        let log = File::create(self.directory.path().join("log")).unwrap();
        let process = Command::new(&self.program)
            .arg("-c")
            .arg(self.directory.path().join("mosquitto.conf"))
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn();
        self.process = Some(process.unwrap());
        for _ in 0..3_000 {
            if TcpStream::connect(("127.0.0.1", self.port)).await.is_ok() {
                return;
            }
            sleep(Duration::from_millis(20)).await;
        }
        let log = fs::read_to_string(self.directory.path().join("log"));
        panic!("mosquitto does not start: {log:?}");
    }

    /// Kills the broker with SIGKILL. Its data stays.
    pub fn kill9(&mut self) {
        let mut process = self.process.take().unwrap();
        process.kill().unwrap();
        process.wait().unwrap();
    }

    /// Stops the process with SIGSTOP, or resumes it.
    pub fn freeze(&self, frozen: bool) {
        let id = self.process.as_ref().unwrap().id();
        let pid = Pid::from_raw(i32::try_from(id).unwrap()).unwrap();
        let signal = if frozen { Signal::STOP } else { Signal::CONT };
        kill_process(pid, signal).unwrap();
    }

    /// Returns the port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns the URL without TLS.
    pub fn url(&self) -> String {
        format!("mqtt://127.0.0.1:{}", self.port)
    }

    /// Returns the directory of its configuration and data, `DIRECTORY` in lines of configuration.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        if self.process.is_some() {
            self.kill9();
        }
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

fn program() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let directories = std::env::split_paths(&path).chain(["/usr/sbin".into()]);
    let mut programs = directories.map(|directory| directory.join("mosquitto"));
    programs.find(|program| program.is_file())
}
