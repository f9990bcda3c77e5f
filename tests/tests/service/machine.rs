//! A machine of its own: a real systemd as process 1 of new namespaces, with the units that ship.

use anyhow::{Context as _, bail};
use m2_tests::harness::Binaries;
use m2_tests::scenario::{PATIENCE, eventually};
use m2_tests::skip::skip;
use m2_tests::workspace;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// The manager's own program.
const SYSTEMD: &str = "/lib/systemd/systemd";
/// The programs that a machine needs, apart from those of a minimal system.
const PROGRAMS: [&str; 3] = ["systemctl", "systemd-sysusers", "ip"];
/// The units that the daemon's units refer to.
const TARGETS: [&str; 6] = [
    "sysinit.target",
    "basic.target",
    "sockets.target",
    "network.target",
    "shutdown.target",
    "multi-user.target",
];
/// The default configuration: loopback alone.
pub(crate) const CONFIG: &str = "[network]\nlisten = [\"127.0.0.1:0\"]\n[access]\ngroup = \"m2\"\n";
/// How long one command may take.
const COMMAND: Duration = Duration::from_secs(90);
const POLL: Duration = Duration::from_millis(10);

/// The number of machines that this process has booted, to give them distinct names.
static MACHINES: AtomicU32 = AtomicU32::new(0);

/// A running machine. Dropping it ends all of its processes and removes its files.
pub(crate) struct Machine {
    directory: TempDir,
    cgroup: PathBuf,
    process: Child,
    /// Process 1, as the tests' own process sees it.
    pid: u32,
}

impl Machine {
    /// Boots a machine without starting the daemon, and creates its user and group. Returns `None`,
    /// and reports the test as skipped, if this system does not permit that.
    pub(crate) async fn boot() -> Option<Self> {
        if let Err(why) = is_possible() {
            skip(&format!("no systemd can be started: {why:#}"));
            return None;
        }
        let mut machine = Self::start().unwrap();
        machine.pid = eventually("process 1", async || machine.find_pid())
            .await
            .unwrap();
        eventually("systemd", async || {
            let output = machine.output(&["systemctl", "is-active", "multi-user.target"])?;
            Ok(output.status.success().then_some(()))
        })
        .await
        .unwrap();
        let users = packaging("sysusers.d/m2d.conf");
        machine.run(&["systemd-sysusers", users.to_str().unwrap()]);
        machine.write("/etc/m2d/m2d.toml", CONFIG);
        Some(machine)
    }

    fn start() -> anyhow::Result<Self> {
        let directory = tempfile::Builder::new().prefix("m2-machine-").tempdir()?;
        fs::set_permissions(&directory, fs::Permissions::from_mode(0o755))?;
        for name in ["units", "bin", "etc", "lib"] {
            fs::create_dir(directory.path().join(name))?;
        }
        install(directory.path())?;
        let number = MACHINES.fetch_add(1, Ordering::Relaxed);
        let name = format!("m2t-{}-{number}", std::process::id());
        let cgroup = cgroups()?.join(name);
        fs::create_dir(&cgroup)?;
        let process = Command::new("sh")
            .args([
                "-c",
                "echo $$ > \"$CG/cgroup.procs\" && exec unshare --mount --pid --fork --kill-child \
                 --uts --ipc --net --cgroup --propagation private sh -c \"$BOOT\"",
            ])
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("BOOT", include_str!("boot.sh"))
            .env("CG", &cgroup)
            .env("W", directory.path())
            .stdin(Stdio::null())
            .spawn()?;
        Ok(Self {
            directory,
            cgroup,
            process,
            pid: 0,
        })
    }

    /// Returns process 1, once the boot script has become systemd.
    fn find_pid(&mut self) -> anyhow::Result<Option<u32>> {
        if let Some(status) = self.process.try_wait()? {
            bail!("the machine did not boot: {status}");
        }
        let parent = self.process.id();
        let children = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children"))?;
        let Some(pid) = children.split_whitespace().next() else {
            return Ok(None);
        };
        let name = fs::read_to_string(format!("/proc/{pid}/comm"))?;
        Ok((name.trim() == "systemd").then_some(pid.parse()?))
    }

    /// Returns a command that runs in this machine.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["-t", &self.pid.to_string(), "-m", "-p", "-u", "-i", "-n"]);
        command.args(["timeout", &COMMAND.as_secs().to_string()]);
        command.args(arguments);
        command.env_clear().env("HOME", "/root");
        command.env("PATH", "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
        command.stdin(Stdio::null());
        command
    }

    /// Runs a command in this machine.
    pub(crate) fn output(&self, arguments: &[&str]) -> anyhow::Result<Output> {
        let output = self.command(arguments).output();
        output.with_context(|| format!("{arguments:?} can't be run"))
    }

    /// Runs a command in this machine that must succeed, and returns what it prints.
    pub(crate) fn run(&self, arguments: &[&str]) -> String {
        let output = self.output(arguments).unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        let log = self.log();
        assert!(output.status.success(), "{arguments:?}: {told}\n{log}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Runs a script in this machine that must succeed.
    pub(crate) fn sh(&self, script: &str) -> String {
        self.run(&["sh", "-c", script])
    }

    /// Returns a property of a unit.
    pub(crate) fn show(&self, unit: &str, property: &str) -> String {
        let text = self.run(&["systemctl", "show", "--value", "-p", property, unit]);
        text.trim().to_owned()
    }

    /// Waits until a property of a unit has a value.
    pub(crate) async fn await_property(&self, unit: &str, property: &str, value: &str) {
        let what = format!("{property} of {unit} to be {value}");
        eventually(&what, async || {
            Ok((self.show(unit, property) == value).then_some(()))
        })
        .await
        .unwrap_or_else(|error| panic!("{error}\n{}", self.log()));
    }

    /// Waits until the log contains a text.
    pub(crate) async fn await_log(&self, text: &str) {
        eventually(text, async || Ok(self.log().contains(text).then_some(())))
            .await
            .unwrap_or_else(|error| panic!("{error}\n{}", self.log()));
    }

    /// Makes the daemon at another socket a contact of the system's, under the names `peer` and `main`.
    pub(crate) async fn befriend(&self, socket: &str) {
        let uri = self.invite("peer");
        self.run(&[
            "m2", "--socket", socket, "contact", "add", &uri, "--name", "main",
        ]);
        let list = [
            "m2", "--socket", socket, "contact", "list", "--state", "contact",
        ];
        eventually("the contact", async || {
            Ok(self.run(&list).contains("main").then_some(()))
        })
        .await
        .unwrap_or_else(|error| panic!("{error}\n{}", self.log()));
    }

    /// Returns an invitation from the system's daemon.
    pub(crate) fn invite(&self, name: &str) -> String {
        let made = self.run(&["m2", "invite", "create", "--name", name]);
        let mut words = made.split_whitespace();
        words
            .find(|word| word.starts_with("m2://"))
            .unwrap()
            .to_owned()
    }

    /// Adds a unit, as an operator does.
    pub(crate) fn unit(&self, name: &str, text: &str) {
        self.place(&format!("units/{name}"), text);
        self.run(&["systemctl", "daemon-reload"]);
    }

    /// Adds a drop-in to a unit, as an operator does.
    pub(crate) fn drop_in(&self, unit: &str, lines: &str) {
        let path = format!("units/{unit}.d/test.conf");
        self.place(&path, &format!("[Service]\n{lines}\n"));
        self.run(&["systemctl", "daemon-reload"]);
    }

    /// Writes a file below /etc, readable by everyone.
    pub(crate) fn write(&self, path: &str, text: &str) {
        self.place(path.trim_start_matches('/'), text);
    }

    /// Replaces the daemon's program by a copy of it, as a package manager does, and returns the inode
    /// of the copy.
    pub(crate) fn upgrade(&self) -> String {
        self.sh("cd /usr/local/bin && cp m2d new && echo >> new && mv new m2d && stat -c %i m2d")
    }

    /// Compiles a C program of these tests into the machine. Errors: there is no compiler.
    pub(crate) fn compile(&self, name: &str, source: &str) -> anyhow::Result<()> {
        let text = self.path("program.c");
        fs::write(&text, source)?;
        let mut command = Command::new("cc");
        command.args(["-O1", "-Wall", "-o"]);
        command.arg(self.path("bin").join(name)).arg(&text);
        let status = command.status().context("no C compiler")?;
        status.success().then_some(()).context("cc fails")
    }

    /// Returns the log of all services.
    pub(crate) fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.path("log")).unwrap_or_default()).into_owned()
    }

    fn place(&self, path: &str, text: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // The end of its parent ends process 1, and with it every process of the machine.
        let _ = self.process.kill();
        let _ = self.process.wait();
        let start = Instant::now();
        while !remove_cgroup(&self.cgroup) && start.elapsed() < PATIENCE {
            std::thread::sleep(POLL);
        }
    }
}

/// Puts the programs and the units into the directory of a machine. The units name the programs in
/// /usr/bin; here they are in /usr/local/bin.
fn install(directory: &Path) -> anyhow::Result<()> {
    let binaries = Binaries::get()?;
    for (name, program) in [("m2d", &binaries.m2d), ("m2", &binaries.m2)] {
        let target = directory.join("bin").join(name);
        // Another process, as a process that a test starts meanwhile would inherit the open file.
        let status = Command::new("cp").arg(program).arg(target).status()?;
        status.success().then_some(()).context("cp fails")?;
    }
    let units = directory.join("units");
    for unit in fs::read_dir(packaging("system"))? {
        let unit = unit?;
        let text = fs::read_to_string(unit.path())?.replace("/usr/bin/m2", "/usr/local/bin/m2");
        fs::write(units.join(unit.file_name()), text)?;
    }
    for target in TARGETS {
        fs::write(units.join(target), "[Unit]\nDefaultDependencies=no\n")?;
    }
    let log = directory.join("log");
    let log = log.display();
    let output = format!("[Service]\nStandardOutput=append:{log}\nStandardError=append:{log}\n");
    fs::create_dir(units.join("service.d"))?;
    fs::write(units.join("service.d/log.conf"), output)?;
    Ok(())
}

pub(crate) fn packaging(name: &str) -> PathBuf {
    let systemd = workspace::root().unwrap().join("m2d/packaging/systemd");
    systemd.join(name)
}

/// Succeeds if this system lets a test start a systemd.
fn is_possible() -> anyhow::Result<()> {
    if !rustix::process::geteuid().is_root() {
        bail!("only root can");
    }
    if !Path::new(SYSTEMD).exists() {
        bail!("{SYSTEMD} is not installed");
    }
    for program in PROGRAMS {
        let found = Command::new(program).arg("--version").output();
        let found = found.or_else(|_| Command::new(program).arg("-V").output());
        found.with_context(|| format!("{program} is not installed"))?;
    }
    let probe = cgroups()?.join(format!(
        "m2t-{}-probe-{:?}",
        std::process::id(),
        std::thread::current().id()
    ));
    fs::create_dir(&probe).context("no control group can be created")?;
    fs::remove_dir(&probe)?;
    let output = Command::new("unshare")
        .args([
            "--mount",
            "--pid",
            "--fork",
            "--net",
            "--cgroup",
            "--propagation",
            "private",
            "true",
        ])
        .output()
        .context("unshare is not installed")?;
    if !output.status.success() {
        bail!("{}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}

/// Returns the directory of the control groups, version 2.
fn cgroups() -> anyhow::Result<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mounts")?;
    let mut mounts = mounts.lines().map(|line| line.split(' '));
    let found = mounts.find_map(|mut fields| {
        let path = fields.nth(1)?;
        (fields.next()? == "cgroup2").then(|| PathBuf::from(path))
    });
    found.context("control groups of version 2 are not mounted")
}

/// Removes a control group with all groups in it. Returns whether it is gone.
fn remove_cgroup(path: &Path) -> bool {
    for entry in fs::read_dir(path).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_cgroup(&entry.path());
        }
    }
    fs::remove_dir(path).is_ok() || !path.exists()
}
