//! A real daemon: its process, its files and its API.

use super::binaries::Binaries;
use super::setup::{Setup, owner_only};
use anyhow::{Context as _, bail};
use m2_proto::api::v1::{DaemonState, GetStatusRequest, GetStatusResponse};
use m2_proto::client::Client;
use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt as _;
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

/// Timeout for a daemon to start or stop; generous, for loaded machines.
const START_STOP: Duration = Duration::from_secs(60);

/// Timeout of one `m2` command.
const COMMAND: Duration = Duration::from_secs(60);

const POLL: Duration = Duration::from_millis(10);

/// A daemon with its own directory. Dropping it kills the process and removes the directory.
#[derive(Debug)]
pub struct Daemon {
    setup: Setup,
    directory: TempDir,
    child: Option<Child>,
}

/// The output and exit code of a command.
#[derive(Debug, Clone)]
pub struct Output {
    /// The exit code; `None` if a signal ended the command.
    pub code: Option<i32>,
    /// The command's standard output.
    pub stdout: String,
    /// The command's standard error.
    pub stderr: String,
}

impl Daemon {
    /// Starts a daemon in a new directory and waits until its API responds.
    ///
    /// Errors: the programs do not build, or the daemon exits or does not respond in time; in the
    /// latter cases the error contains its log.
    pub async fn start(setup: Setup) -> anyhow::Result<Self> {
        let mut daemon = Self::prepare(setup)?;
        daemon.restart().await?;
        Ok(daemon)
    }

    /// Creates the directory and the configuration without starting the daemon.
    ///
    /// Errors: the directory cannot be created.
    pub fn prepare(setup: Setup) -> anyhow::Result<Self> {
        let directory = tempfile::Builder::new().prefix("m2-").tempdir()?;
        let daemon = Self {
            setup,
            directory,
            child: None,
        };
        fs::create_dir(daemon.data())?;
        owner_only(&daemon.data(), 0o700)?;
        daemon.setup.place_identity(&daemon.data())?;
        fs::write(daemon.config(), daemon.setup.toml())?;
        Ok(daemon)
    }

    /// Starts the daemon again with the same data, after it was killed or stopped.
    ///
    /// Errors: as [`Daemon::start`], or the daemon is already running.
    pub async fn restart(&mut self) -> anyhow::Result<()> {
        self.spawn()?;
        let answered = timeout(START_STOP, self.answers()).await;
        match answered {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(error.context(self.log())),
            Err(_) => bail!("the daemon's API did not come up:\n{}", self.log()),
        }
    }

    /// Starts the process without waiting for the API, for tests of the start itself.
    ///
    /// Errors: the process cannot be started, or is already running.
    pub fn spawn(&mut self) -> anyhow::Result<()> {
        if self.child.is_some() {
            bail!("the daemon is already running");
        }
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.log_file())?;
        let child = self
            .command()?
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("could not start m2d")?;
        self.child = Some(child);
        Ok(())
    }

    /// Runs another command of `m2d`, such as `passphrase set`, with this daemon's configuration
    /// and data, and with `input` as its standard input.
    ///
    /// Errors: the command cannot be started, or does not end in time.
    pub async fn m2d(&self, arguments: &[&str], input: &str) -> anyhow::Result<Output> {
        let mut command = Command::new(&Binaries::get()?.m2d);
        command.args(arguments);
        command.arg("--config").arg(self.config());
        command.arg("--data-dir").arg(self.data());
        let output = timeout(START_STOP, with_input(command, input))
            .await
            .with_context(|| format!("`m2d {}` hangs", arguments.join(" ")))??;
        Ok(Output::of(&output))
    }

    /// Runs a second daemon with the same configuration and data, and waits until it exits.
    ///
    /// Errors: the command cannot be started, or does not end in time.
    pub async fn run_beside(&self) -> anyhow::Result<Output> {
        let output = timeout(START_STOP, self.command()?.output())
            .await
            .context("the second m2d did not exit")??;
        Ok(Output::of(&output))
    }

    /// Kills the process with SIGKILL and waits until it is gone.
    ///
    /// Errors: the daemon is not running.
    pub async fn kill9(&mut self) -> anyhow::Result<()> {
        let mut child = self.child.take().context("the daemon does not run")?;
        child.kill().await.context("could not kill m2d")
    }

    /// Sends SIGTERM to the process and waits until it exits.
    ///
    /// Errors: the daemon is not running, or does not exit in time.
    pub async fn stop(&mut self) -> anyhow::Result<ExitStatus> {
        let pid = self.pid().context("the daemon does not run")?;
        signal("TERM", pid).await?;
        self.ended().await
    }

    /// Sends a signal to the process; `name` is without `SIG`.
    ///
    /// Errors: the daemon is not running.
    pub async fn signal(&self, name: &str) -> anyhow::Result<()> {
        let pid = self.pid().context("the daemon does not run")?;
        signal(name, pid).await
    }

    /// Stops the process with SIGSTOP, as if its host slept.
    ///
    /// Errors: the daemon is not running.
    pub async fn pause(&self) -> anyhow::Result<()> {
        let pid = self.pid().context("the daemon does not run")?;
        signal("STOP", pid).await
    }

    /// Resumes the process after [`Self::pause`].
    ///
    /// Errors: the daemon is not running.
    pub async fn go_on(&self) -> anyhow::Result<()> {
        let pid = self.pid().context("the daemon does not run")?;
        signal("CONT", pid).await
    }

    /// Waits until the process exits by itself.
    ///
    /// Errors: the daemon is not running, or does not exit in time.
    pub async fn ended(&mut self) -> anyhow::Result<ExitStatus> {
        let mut child = self.child.take().context("the daemon does not run")?;
        timeout(START_STOP, child.wait())
            .await
            .with_context(|| format!("m2d did not exit:\n{}", self.log()))?
            .context("could not wait for m2d")
    }

    /// Connects to the daemon's API.
    ///
    /// Errors: the API does not respond.
    pub async fn client(&self) -> anyhow::Result<Client> {
        Ok(Client::connect(self.socket()).await?)
    }

    /// Returns the daemon's status.
    ///
    /// Errors: the API does not respond.
    pub async fn status(&self) -> anyhow::Result<GetStatusResponse> {
        let mut daemon = self.client().await?.daemon();
        Ok(daemon.get_status(GetStatusRequest {}).await?.into_inner())
    }

    /// Returns the first UDP address that the daemon has bound.
    ///
    /// Errors: the API does not respond, or the daemon has no UDP socket.
    pub async fn udp_address(&self) -> anyhow::Result<SocketAddr> {
        let status = self.status().await?;
        let first = status.listen_addresses.first();
        Ok(first.context("the daemon has no UDP socket")?.parse()?)
    }

    /// Runs a command of `m2` with this daemon.
    ///
    /// Errors: the command cannot be started, or does not end in time. A non-zero exit code is not
    /// an error here.
    pub async fn m2(&self, arguments: &[&str]) -> anyhow::Result<Output> {
        let output = self.m2_command()?.args(arguments).output();
        let output = timeout(COMMAND, output)
            .await
            .with_context(|| format!("`m2 {}` hangs", arguments.join(" ")))??;
        Ok(Output::of(&output))
    }

    /// Returns the command `m2 --socket …`, for tests that need its standard input or keep it
    /// running.
    ///
    /// Errors: the programs do not build.
    pub fn m2_command(&self) -> anyhow::Result<Command> {
        let mut command = Command::new(&Binaries::get()?.m2);
        command.arg("--socket").arg(self.socket());
        command.stdin(Stdio::null()).kill_on_drop(true);
        Ok(command)
    }

    /// Returns the resident memory of the process in KiB.
    ///
    /// Errors: the daemon is not running, or the system is not Linux.
    pub fn rss_kib(&self) -> anyhow::Result<u64> {
        let pid = self.pid().context("the daemon does not run")?;
        let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let number = line.and_then(|line| line.split_whitespace().next());
        Ok(number.context("no VmRSS")?.parse()?)
    }

    /// Returns the process id while the daemon runs.
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().and_then(Child::id)
    }

    /// Returns the daemon's data directory.
    pub fn data(&self) -> PathBuf {
        self.path("data")
    }

    /// Returns the daemon's configuration file. A change takes effect at the next start.
    pub fn config(&self) -> PathBuf {
        self.path("m2d.toml")
    }

    /// Returns the daemon's API socket.
    pub fn socket(&self) -> PathBuf {
        self.path("run").join("m2d.sock")
    }

    /// Returns the daemon's log, across restarts.
    pub fn log(&self) -> String {
        let bytes = fs::read(self.log_file()).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Returns the command `m2d run` with all arguments and the environment.
    fn command(&self) -> anyhow::Result<Command> {
        let program = &Binaries::get()?.m2d;
        let mut command = match self.setup.namespace() {
            // `ip` replaces itself with the daemon, so the process id is the daemon's.
            Some(namespace) => {
                let mut command = Command::new("ip");
                command.args(["netns", "exec", namespace]).arg(program);
                command
            }
            None => match self.setup.descriptor_limit() {
                Some(most) => limited(most, program),
                None => Command::new(program),
            },
        };
        command.arg("run");
        command.arg("--config").arg(self.config());
        command.arg("--data-dir").arg(self.data());
        command.arg("--socket").arg(self.socket());
        command.args(self.setup.extra_arguments());
        command.env_remove("NOTIFY_SOCKET");
        command.envs(self.setup.extra_environment().iter().cloned());
        command.stdin(Stdio::null()).kill_on_drop(true);
        Ok(command)
    }

    fn log_file(&self) -> PathBuf {
        self.path("m2d.log")
    }

    fn path(&self, name: &str) -> PathBuf {
        Path::new(self.directory.path()).join(name)
    }

    /// Waits until the API responds, also when the daemon is locked.
    async fn answers(&mut self) -> anyhow::Result<()> {
        let start = Instant::now();
        loop {
            let child = self.child.as_mut().context("the daemon does not run")?;
            if let Some(status) = child.try_wait()? {
                self.child = None;
                bail!("m2d exited after {:?}: {status}", start.elapsed());
            }
            if let Ok(status) = self.status().await
                && status.state() != DaemonState::Unspecified
            {
                return Ok(());
            }
            sleep(POLL).await;
        }
    }
}

impl Drop for Daemon {
    /// Prints the daemon's log if the test has failed.
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!(
                "--- log of the daemon in {}\n{}",
                self.data().display(),
                self.log()
            );
        }
    }
}

impl Output {
    fn of(output: &std::process::Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Returns the standard output of a command that must have succeeded.
    ///
    /// Errors: the command failed.
    pub fn success(self) -> anyhow::Result<String> {
        match self.code {
            Some(0) => Ok(self.stdout),
            code => bail!("m2 exited with {code:?}: {}", self.stderr),
        }
    }

    /// Returns the JSON objects that a command with `--json` printed, one per line.
    ///
    /// Errors: the command failed, or a line is not valid JSON.
    pub fn json(self) -> anyhow::Result<Vec<serde_json::Value>> {
        let text = self.success()?;
        text.lines()
            .map(|line| serde_json::from_str(line).with_context(|| line.to_owned()))
            .collect()
    }
}

/// Runs a command with `input` as its standard input.
async fn with_input(mut command: Command, input: &str) -> anyhow::Result<std::process::Output> {
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    let mut child = command.spawn().context("could not start m2d")?;
    let mut stdin = child.stdin.take().context("no standard input")?;
    // A command that exits early does not read all of its input.
    let _ = stdin.write_all(input.as_bytes()).await;
    drop(stdin);
    Ok(child.wait_with_output().await?)
}

/// Returns a command that runs a program with a limit on its open files. A shell sets the limit and
/// replaces itself with the program.
fn limited(most: u32, program: &Path) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", &format!("ulimit -n {most}; exec \"$@\""), "sh"]);
    command.arg(program);
    command
}

/// Sends a signal through the shell, whose built-in `kill` exists on every system.
async fn signal(name: &str, pid: u32) -> anyhow::Result<()> {
    let status = Command::new("sh")
        .arg("-c")
        .arg(format!("kill -{name} {pid}"))
        .status()
        .await?;
    if !status.success() {
        bail!("could not send SIG{name}");
    }
    Ok(())
}
