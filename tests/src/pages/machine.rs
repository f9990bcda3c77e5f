//! A person's machine: an overlay of this machine's files in namespaces of its own.

use super::step::PERSONS;
use crate::bareroot::Cgroup;
use crate::harness::Lab;
use anyhow::{Context as _, bail};
use std::fs::{self, File};
use std::io::{Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Timeout of one step, in seconds; generous, for loaded machines.
const STEP: u32 = 60;
/// Timeout of a step that goes on, in seconds.
const PAGE: u32 = 600;
/// Timeout of a start.
const BOOT: Duration = Duration::from_secs(60);
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// The environment of all commands on a machine.
const ENVIRONMENT: [&str; 6] = [
    "LC_ALL=C.UTF-8",
    "TERM=dumb",
    "DEBIAN_FRONTEND=noninteractive",
    "PYTHONPATH=/opt/m2/source/clients/python/src:/opt/m2/extra/python",
    "PYTHONDONTWRITEBYTECODE=1",
    "NODE_PATH=/opt/m2/extra/node/node_modules",
];
const POLL: Duration = Duration::from_millis(10);

/// Runs a program in namespaces of its own. They end with it.
const NAMESPACES: &str = "echo $$ > \"$CGROUP\" && exec ip netns exec \"$NETWORK\" unshare --mount --pid --fork \
     --kill-child --uts --ipc --cgroup --propagation private sh -c \"$BOOT\"";

/// Moves the shell to the machine's control group, if the system permits it, and becomes the command.
const JOIN: &str = "echo $$ > \"$CGROUP\" 2>/dev/null; exec \"$@\"";

/// What a machine consists of.
#[derive(Debug)]
pub(super) struct Plan<'a> {
    pub(super) source: &'a Path,
    pub(super) programs: &'a Path,
    pub(super) extra: &'a Path,
    pub(super) has_systemd: bool,
}

/// A running machine. Dropping it ends all of its processes.
#[derive(Debug)]
pub(super) struct Machine {
    process: Child,
    first: u32,
    has_systemd: bool,
    cgroup: Cgroup,
    _directory: TempDir,
}

/// A command that was run, with everything that it printed.
#[derive(Debug)]
pub(super) struct Printed {
    pub(super) code: Option<i32>,
    pub(super) output: String,
}

/// How a command is run.
#[derive(Debug, Clone, Copy)]
pub(super) struct Call<'a> {
    pub(super) person: &'a str,
    pub(super) is_root: bool,
    pub(super) directory: Option<&'a str>,
    pub(super) typed: &'a [String],
    /// It goes on until the page ends.
    pub(super) is_background: bool,
    /// The program and its arguments.
    pub(super) command: &'a [&'a str],
}

impl Machine {
    /// Starts the machine of a person on a host of `lab`.
    ///
    /// Errors: this system does not permit it.
    pub(super) fn start(lab: &Lab, person: &str, plan: &Plan<'_>) -> anyhow::Result<Self> {
        let directory = tempfile::Builder::new().prefix("m2-page-").tempdir()?;
        let cgroup = Cgroup::new(&lab.host(person))?;
        let process = Command::new("sh")
            .args(["-c", NAMESPACES])
            .env_clear()
            .env("PATH", PATH)
            .env("CGROUP", cgroup.members())
            .env("NETWORK", lab.host(person))
            .env("BOOT", include_str!("boot.sh"))
            .env("W", directory.path())
            .env("SOURCE", plan.source)
            .env("PROGRAMS", plan.programs)
            .env("EXTRA", plan.extra)
            .env("HOST", person)
            .env("PERSONS", PERSONS.join(" "))
            .env("INIT", if plan.has_systemd { "systemd" } else { "sleep" })
            .stdin(Stdio::null())
            .spawn()?;
        let mut machine = Self {
            process,
            first: 0,
            has_systemd: plan.has_systemd,
            cgroup,
            _directory: directory,
        };
        machine.wait_until_up()?;
        Ok(machine)
    }

    fn wait_until_up(&mut self) -> anyhow::Result<()> {
        let start = Instant::now();
        while !self.is_up()? {
            if let Some(status) = self.process.try_wait()? {
                bail!("a machine does not start: {status}");
            }
            if start.elapsed() > BOOT {
                bail!("a machine does not start in time");
            }
            sleep(POLL);
        }
        Ok(())
    }

    fn is_up(&mut self) -> anyhow::Result<bool> {
        let parent = self.process.id();
        let children = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children"));
        let children = children.unwrap_or_default();
        let Some(first) = children.split_whitespace().next() else {
            return Ok(false);
        };
        let name = fs::read_to_string(format!("/proc/{first}/comm")).unwrap_or_default();
        self.first = first.parse()?;
        match name.trim() {
            "sleep" => Ok(true),
            "systemd" => {
                let state = self.root(&["systemctl", "is-system-running"])?.output;
                Ok(matches!(state.trim(), "running" | "degraded"))
            }
            _ => Ok(false),
        }
    }

    /// Runs a command as root.
    pub(super) fn root(&self, command: &[&str]) -> anyhow::Result<Printed> {
        self.run(&Call {
            person: "ben",
            is_root: true,
            directory: None,
            typed: &[],
            is_background: false,
            command,
        })
    }

    /// Runs a command and waits until it ends, but not for processes that it leaves running.
    pub(super) fn run(&self, call: &Call<'_>) -> anyhow::Result<Printed> {
        let mut file = tempfile::tempfile()?;
        let mut child = self.spawn(call, &file)?;
        let status = child.wait()?;
        Ok(Printed {
            code: status.code(),
            output: contents(&mut file)?,
        })
    }

    /// Starts a command with its output in `file`.
    pub(super) fn spawn(&self, call: &Call<'_>, file: &File) -> anyhow::Result<Child> {
        let words = self.words(call);
        let mut command = Command::new("sh");
        command.args(["-c", JOIN, "sh"]).args(&words);
        command.env_clear().env("CGROUP", self.cgroup.members());
        command.env("PATH", PATH);
        command.stdin(input(call.typed)?);
        command.stdout(file.try_clone()?).stderr(file.try_clone()?);
        command.spawn().context("sh can't be run")
    }

    fn words(&self, call: &Call<'_>) -> Vec<String> {
        let (user, home) = match call.is_root {
            true => ("root", "/root".to_owned()),
            false => (call.person, format!("/home/{}", call.person)),
        };
        let seconds = if call.is_background { PAGE } else { STEP };
        let (seconds, first) = (seconds.to_string(), self.first.to_string());
        let directory = format!("--chdir={}", call.directory.unwrap_or(&home));
        let mut words = vec!["timeout", "-k2", &seconds, "nsenter", "--target", &first];
        words.extend(["--all", "--root", "--wd", "setpriv", "--init-groups"]);
        words.extend(["--reuid", user, "--regid", user, "env", &directory, "-i"]);
        words.extend(ENVIRONMENT);
        let mut words: Vec<String> = words.into_iter().map(str::to_owned).collect();
        words.push(format!("PATH={PATH}:/opt/m2/bin"));
        words.extend([format!("USER={user}"), format!("HOME={home}")]);
        if !call.is_root {
            let number = PERSONS.iter().position(|one| *one == call.person);
            let number = 1001 + number.unwrap_or(0);
            words.push(format!("XDG_RUNTIME_DIR=/run/user/{number}"));
        }
        words.extend(terminal(call));
        words
    }

    /// Returns the end of the log of the machine's services.
    pub(super) fn log(&self) -> String {
        if !self.has_systemd {
            return String::new();
        }
        let log = self.root(&["journalctl", "--no-pager", "-o", "cat", "-n", "40"]);
        log.map(|log| log.output).unwrap_or_default()
    }

    /// Returns the path outside of the machine for a path on it.
    pub(super) fn path(&self, inside: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root{inside}", self.first))
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // The end of its parent ends the first process, and with it every process of the machine.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Returns everything that was written to a file.
pub(super) fn contents(file: &mut File) -> anyhow::Result<String> {
    let mut bytes = Vec::new();
    file.rewind()?;
    file.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).replace('\r', ""))
}

/// Returns the command of a call; on a terminal, if lines are to be typed.
fn terminal(call: &Call<'_>) -> Vec<String> {
    let own = || call.command.iter().map(|word| (*word).to_owned());
    if call.typed.is_empty() {
        return own().collect();
    }
    let quoted: Vec<String> = own()
        .map(|word| format!("'{}'", word.replace('\'', r"'\''")))
        .collect();
    let words = ["script", "--quiet", "--return", "--flush", "--command"].map(str::to_owned);
    let mut words = words.to_vec();
    words.extend([quoted.join(" "), "/dev/null".to_owned()]);
    words
}

fn input(typed: &[String]) -> anyhow::Result<Stdio> {
    if typed.is_empty() {
        return Ok(Stdio::null());
    }
    let mut file = tempfile::tempfile()?;
    for line in typed {
        writeln!(file, "{line}")?;
    }
    file.rewind()?;
    Ok(file.into())
}
