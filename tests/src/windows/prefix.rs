//! A Windows of wine.

use super::programs::{self, Programs};
use anyhow::Context as _;
use rustix::process::{Pid, Signal, kill_process};
use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tempfile::TempDir;
use tokio::process::{Child, Command};

/// Where wine is: on the path, or where Debian's package `wine64` has it.
const WINES: [&str; 3] = ["wine64", "wine", "/usr/lib/wine/wine64"];
const SERVERS: [&str; 2] = ["wineserver", "/usr/lib/wine/wineserver"];

/// The limit for a program that should end by itself, and for the first start of a Windows.
const LIMIT: Duration = Duration::from_secs(240);

/// A Windows of its own, ended and removed when this is dropped.
#[derive(Debug)]
pub struct Prefix {
    directory: TempDir,
    programs: Programs,
}

/// What a program wrote, and how it ended.
#[derive(Debug)]
pub struct Told {
    /// The exit code.
    pub code: Option<i32>,
    /// What it wrote to standard output.
    pub stdout: String,
    /// What it wrote to standard error.
    pub stderr: String,
}

/// A running program. Killed when this is dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
    log: PathBuf,
}

/// Returns what is missing to run programs.
pub(super) fn missing() -> Option<String> {
    let found = program_of(&WINES).and(program_of(&SERVERS));
    found.is_none().then(|| "wine is not installed".to_owned())
}

impl Prefix {
    /// Installs a Windows in `place`, with these programs.
    ///
    /// Errors: wine fails.
    pub async fn install(place: &Path, programs: Programs) -> anyhow::Result<Self> {
        fs::create_dir_all(place)?;
        let directory = TempDir::new_in(place)?;
        let prefix = Self {
            directory,
            programs,
        };
        let told = prefix.output(prefix.wine(["wineboot", "-i"])).await?;
        let system = prefix.drive().join("windows/system32");
        anyhow::ensure!(system.is_dir(), "wineboot: {told:?}");
        let stub = system.join("bcryptprimitives.dll");
        if !stub.exists() {
            programs::make_stub(&stub)?;
        }
        Ok(prefix)
    }

    /// Returns the drive C.
    pub fn drive(&self) -> PathBuf {
        self.directory.path().join("drive_c")
    }

    /// Returns the directory that %LOCALAPPDATA% names.
    ///
    /// Errors: there is no user.
    pub fn local_data(&self) -> anyhow::Result<PathBuf> {
        let users = fs::read_dir(self.drive().join("users"))?;
        let mut users = users.filter_map(|user| Some(user.ok()?.path()));
        let own = users.find(|user| !user.ends_with("Public"));
        Ok(own.context("no user")?.join("AppData/Local"))
    }

    /// Runs one of M2's programs until it ends.
    ///
    /// Errors: it does not end.
    pub async fn run(&self, program: &str, arguments: &[&str]) -> anyhow::Result<Told> {
        self.output(self.program(program, arguments)).await
    }

    /// Runs a program of Windows until it ends.
    ///
    /// Errors: it does not end.
    pub async fn system(&self, words: &[&str]) -> anyhow::Result<Told> {
        self.output(self.wine(words)).await
    }

    /// Starts one of M2's programs, with its log in a file of this name.
    ///
    /// Errors: wine can't be started.
    pub fn start(&self, log: &str, program: &str, arguments: &[&str]) -> anyhow::Result<Process> {
        let log = self.directory.path().join(log);
        let mut command = self.program(program, arguments);
        command.stdout(Stdio::null()).stderr(File::create(&log)?);
        let child = command.spawn()?;
        Ok(Process { child, log })
    }

    fn program(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = self.wine([self.programs.path(program)]);
        command.args(arguments);
        command
    }

    fn wine<W: AsRef<OsStr>>(&self, words: impl IntoIterator<Item = W>) -> Command {
        let mut command = Command::new(program_of(&WINES).unwrap_or("wine64"));
        command
            .args(words)
            .env("WINEPREFIX", self.directory.path())
            .env("WINEDEBUG", "-all")
            .env_remove("DISPLAY")
            .stdin(Stdio::null())
            .kill_on_drop(true);
        command
    }

    async fn output(&self, mut command: Command) -> anyhow::Result<Told> {
        let shown = format!("{command:?}");
        let output = tokio::time::timeout(LIMIT, command.output()).await;
        let output = output.with_context(|| format!("{shown} does not end"))??;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).replace('\r', "");
        Ok(Told {
            code: output.status.code(),
            stdout: text(&output.stdout),
            stderr: text(&output.stderr),
        })
    }
}

impl Drop for Prefix {
    fn drop(&mut self) {
        // Ends the programs of this prefix only. What can't be ended is removed with the directory.
        if let Some(server) = program_of(&SERVERS) {
            let mut command = std::process::Command::new(server);
            let command = command.arg("-k").env("WINEPREFIX", self.directory.path());
            let _ = command.status();
        }
    }
}

impl Process {
    /// Presses Ctrl-C, and waits for the end.
    ///
    /// Errors: the program does not end.
    pub async fn interrupt(&mut self) -> anyhow::Result<ExitStatus> {
        let id = self
            .child
            .id()
            .and_then(|id| Pid::from_raw(id.cast_signed()));
        kill_process(id.context("it has ended")?, Signal::INT)?;
        self.wait().await
    }

    /// Waits for the end.
    ///
    /// Errors: the program does not end.
    pub async fn wait(&mut self) -> anyhow::Result<ExitStatus> {
        let ended = tokio::time::timeout(LIMIT, self.child.wait()).await;
        Ok(ended.with_context(|| format!("it does not end:\n{}", self.log()))??)
    }

    /// Returns the log.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }
}

fn program_of(names: &[&'static str]) -> Option<&'static str> {
    let is_there =
        |name: &&&str| programs::is_started(std::process::Command::new(name).arg("--version"));
    names.iter().find(is_there).copied()
}
