//! One real daemon: its process, its files and its API.

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

/// How long a daemon may take to start or stop; generous, for loaded machines.
const START_STOP: Duration = Duration::from_secs(60);

/// How long one command of `m2` may take.
const COMMAND: Duration = Duration::from_secs(60);

const POLL: Duration = Duration::from_millis(10);

/// A daemon with a directory of its own, which goes when this is dropped; the process too.
#[derive(Debug)]
pub struct Daemon {
    setup: Setup,
    directory: TempDir,
    child: Option<Child>,
}

/// What a command of `m2` printed and how it ended.
#[derive(Debug, Clone)]
pub struct Output {
    /// The exit code; none when a signal ended it.
    pub code: Option<i32>,
    /// What it printed.
    pub stdout: String,
    /// What it complained about.
    pub stderr: String,
}

impl Daemon {
    /// Starts a daemon in a new directory and waits until its API answers.
    ///
    /// Errors: the programs don't build, or the daemon ends or does not answer; then the error
    /// holds its log.
    pub async fn start(setup: Setup) -> anyhow::Result<Self> {
        let mut daemon = Self::prepare(setup)?;
        daemon.restart().await?;
        Ok(daemon)
    }

    /// Makes the directory and the configuration without starting anything.
    ///
    /// Errors: the directory can't be made.
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

    /// Starts the daemon again, on the same data, after it was killed or stopped.
    ///
    /// Errors: as [`Daemon::start`], or it runs already.
    pub async fn restart(&mut self) -> anyhow::Result<()> {
        self.spawn()?;
        let answered = timeout(START_STOP, self.answers()).await;
        match answered {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(error.context(self.log())),
            Err(_) => bail!("the daemon's API did not come up:\n{}", self.log()),
        }
    }

    /// Starts the process and returns at once, for tests of the start itself.
    ///
    /// Errors: it can't be started, or runs already.
    pub fn spawn(&mut self) -> anyhow::Result<()> {
        if self.child.is_some() {
            bail!("the daemon runs already");
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

    /// Runs another command of `m2d`, such as `passphrase set`, on this daemon's configuration and
    /// data, with `input` as its standard input.
    ///
    /// Errors: it can't be started, or does not end in time.
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

    /// Runs a second daemon with the same configuration and data until it ends.
    ///
    /// Errors: it can't be started, or does not end in time.
    pub async fn run_beside(&self) -> anyhow::Result<Output> {
        let output = timeout(START_STOP, self.command()?.output())
            .await
            .context("the second m2d did not end")??;
        Ok(Output::of(&output))
    }

    /// Ends the process with SIGKILL: nothing of it runs any more when this returns.
    ///
    /// Errors: it did not run.
    pub async fn kill9(&mut self) -> anyhow::Result<()> {
        let mut child = self.child.take().context("the daemon does not run")?;
        child.kill().await.context("could not kill m2d")
    }

    /// Asks the process to end with SIGTERM and waits until it did.
    ///
    /// Errors: it did not run, or did not end in time.
    pub async fn stop(&mut self) -> anyhow::Result<ExitStatus> {
        let pid = self.pid().context("the daemon does not run")?;
        signal("TERM", pid).await?;
        self.ended().await
    }

    /// Sends the process a signal by its name, without `SIG`.
    ///
    /// Errors: it did not run.
    pub async fn signal(&self, name: &str) -> anyhow::Result<()> {
        let pid = self.pid().context("the daemon does not run")?;
        signal(name, pid).await
    }

    /// Lets the process stand still, as if its host slept.
    ///
    /// Errors: it did not run.
    pub async fn pause(&self) -> anyhow::Result<()> {
        let pid = self.pid().context("the daemon does not run")?;
        signal("STOP", pid).await
    }

    /// Lets the process go on after [`Self::pause`].
    ///
    /// Errors: it did not run.
    pub async fn go_on(&self) -> anyhow::Result<()> {
        let pid = self.pid().context("the daemon does not run")?;
        signal("CONT", pid).await
    }

    /// Waits until the process ends by itself.
    ///
    /// Errors: it did not run, or did not end in time.
    pub async fn ended(&mut self) -> anyhow::Result<ExitStatus> {
        let mut child = self.child.take().context("the daemon does not run")?;
        timeout(START_STOP, child.wait())
            .await
            .with_context(|| format!("m2d did not end:\n{}", self.log()))?
            .context("could not wait for m2d")
    }

    /// A connection to the daemon's API.
    ///
    /// Errors: it does not answer.
    pub async fn client(&self) -> anyhow::Result<Client> {
        Ok(Client::connect(self.socket()).await?)
    }

    /// What the daemon says of itself.
    ///
    /// Errors: it does not answer.
    pub async fn status(&self) -> anyhow::Result<GetStatusResponse> {
        let mut daemon = self.client().await?.daemon();
        Ok(daemon.get_status(GetStatusRequest {}).await?.into_inner())
    }

    /// The first UDP address that the daemon has bound.
    ///
    /// Errors: it does not answer, or has bound none.
    pub async fn udp_address(&self) -> anyhow::Result<SocketAddr> {
        let status = self.status().await?;
        let first = status.listen_addresses.first();
        Ok(first.context("the daemon has no UDP socket")?.parse()?)
    }

    /// Runs a command of `m2` against this daemon.
    ///
    /// Errors: it can't be started or takes too long. A command that fails is no error here.
    pub async fn m2(&self, arguments: &[&str]) -> anyhow::Result<Output> {
        let output = self.m2_command()?.args(arguments).output();
        let output = timeout(COMMAND, output)
            .await
            .with_context(|| format!("`m2 {}` hangs", arguments.join(" ")))??;
        Ok(Output::of(&output))
    }

    /// `m2 --socket …`, for tests that give it input or let it run.
    ///
    /// Errors: the programs don't build.
    pub fn m2_command(&self) -> anyhow::Result<Command> {
        let mut command = Command::new(&Binaries::get()?.m2);
        command.arg("--socket").arg(self.socket());
        command.stdin(Stdio::null()).kill_on_drop(true);
        Ok(command)
    }

    /// Resident memory of the process in KiB.
    ///
    /// Errors: it does not run, or this is no Linux.
    pub fn rss_kib(&self) -> anyhow::Result<u64> {
        let pid = self.pid().context("the daemon does not run")?;
        let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let number = line.and_then(|line| line.split_whitespace().next());
        Ok(number.context("no VmRSS")?.parse()?)
    }

    /// The process's id while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().and_then(Child::id)
    }

    /// The daemon's data directory.
    pub fn data(&self) -> PathBuf {
        self.path("data")
    }

    /// The daemon's configuration file; a change counts from the next start on.
    pub fn config(&self) -> PathBuf {
        self.path("m2d.toml")
    }

    /// The daemon's API socket.
    pub fn socket(&self) -> PathBuf {
        self.path("run").join("m2d.sock")
    }

    /// Everything that the daemon has logged.
    pub fn log(&self) -> String {
        let bytes = fs::read(self.log_file()).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// `m2d run` with everything it needs.
    fn command(&self) -> anyhow::Result<Command> {
        let program = &Binaries::get()?.m2d;
        let mut command = match self.setup.namespace() {
            // It becomes the daemon: the process id stays.
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

    /// Until the API answers; a locked daemon is up too.
    async fn answers(&mut self) -> anyhow::Result<()> {
        let start = Instant::now();
        loop {
            let child = self.child.as_mut().context("the daemon does not run")?;
            if let Some(status) = child.try_wait()? {
                self.child = None;
                bail!("m2d ended after {:?}: {status}", start.elapsed());
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
    /// A failed test shows what the daemon had to say.
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

    /// The standard output of a command that must have succeeded.
    ///
    /// Errors: it did not.
    pub fn success(self) -> anyhow::Result<String> {
        match self.code {
            Some(0) => Ok(self.stdout),
            code => bail!("m2 ended with {code:?}: {}", self.stderr),
        }
    }

    /// The JSON objects that a command with `--json` printed, one a line.
    ///
    /// Errors: it failed, or a line is no JSON.
    pub fn json(self) -> anyhow::Result<Vec<serde_json::Value>> {
        let text = self.success()?;
        text.lines()
            .map(|line| serde_json::from_str(line).with_context(|| line.to_owned()))
            .collect()
    }
}

/// Runs a command that reads `input` from its standard input.
async fn with_input(mut command: Command, input: &str) -> anyhow::Result<std::process::Output> {
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    let mut child = command.spawn().context("could not start m2d")?;
    let mut stdin = child.stdin.take().context("no standard input")?;
    // A command that ends early does not read all.
    let _ = stdin.write_all(input.as_bytes()).await;
    drop(stdin);
    Ok(child.wait_with_output().await?)
}

/// A program with a limit on its open files. The shell sets it and becomes the program.
fn limited(most: u32, program: &Path) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", &format!("ulimit -n {most}; exec \"$@\""), "sh"]);
    command.arg(program);
    command
}

/// Through the shell, whose own `kill` every system has.
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
