//! A running system on a host of a lab.

use super::base::Base;
use super::cgroup::Cgroup;
use super::run;
use crate::harness::{Lab, Output};
use anyhow::{Context as _, bail};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How long a system may take to start, and a command to end.
const PATIENCE: Duration = Duration::from_secs(180);

/// Runs a program in namespaces of its own. They end with it.
const NAMESPACES: &str =
    "unshare --mount --pid --fork --kill-child --uts --ipc --cgroup --propagation private";

/// Makes the root directory `$1` the root of this mount namespace, with what a system expects to find there, and
/// becomes its systemd.
const BOOT: &str = r#"
set -eu
mount --bind "$1" "$1"
cd "$1"
mount -t proc proc proc
mount -t sysfs -o ro sysfs sys
mount -t cgroup2 none sys/fs/cgroup
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs -o mode=755 tmpfs dev
for device in null zero full random urandom tty; do
    : > dev/$device
    mount --bind /dev/$device dev/$device
done
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts dev/pts
ln -s pts/ptmx dev/ptmx
mount -t tmpfs -o mode=1777 tmpfs dev/shm
ln -s /proc/self/fd dev/fd
: > dev/console
mount --bind "$2" dev/console
mkdir -p .old
pivot_root . .old
umount -l .old
# As container managers do: systemd passes credentials by mounts that must reach its services.
mount --make-rshared /
export container=bareroot
exec chroot . /lib/systemd/systemd --system --show-status=false
"#;

/// A system with systemd as its first process. It is killed and removed when this is dropped.
#[derive(Debug)]
pub struct Host {
    /// Fields are dropped in order: the processes before their control group.
    system: Child,
    first: u32,
    root: PathBuf,
    console: PathBuf,
    _cgroup: Cgroup,
}

impl Host {
    /// Starts a copy of `base` on the host `name` of `lab`, and waits until it is up.
    ///
    /// Errors: this machine does not permit it, or the system does not start.
    pub fn start(base: &Base, lab: &Lab, name: &str) -> anyhow::Result<Self> {
        let root = base.copy(&lab.host(name))?;
        fs::write(root.join("etc/hostname"), format!("{name}\n"))?;
        // It would wait for a terminal.
        let getty = root.join("etc/systemd/system/console-getty.service");
        std::os::unix::fs::symlink("/dev/null", getty)?;
        let console = root.with_extension("console");
        fs::write(&console, "")?;
        let cgroup = Cgroup::new(&lab.host(name))?;
        let system = spawn(lab, name, &root, &console, &cgroup)?;
        let mut host = Self {
            first: 0,
            system,
            root,
            console,
            _cgroup: cgroup,
        };
        host.first = host.first_process()?;
        host.wait_until_up()?;
        Ok(host)
    }

    /// Runs a command line in a shell on the system, as root.
    ///
    /// Errors: it can't be started, or takes minutes.
    pub fn shell(&self, line: &str) -> anyhow::Result<Output> {
        let mut command = Command::new("timeout");
        command.arg(PATIENCE.as_secs().to_string());
        command.args(["nsenter", "--target", &self.first.to_string()]);
        command.args(["--all", "--root", "--wd", "env", "-i"]);
        command.args([
            "PATH=/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME=/root",
            "TERM=dumb",
        ]);
        command.args(["LC_ALL=C.UTF-8", "DEBIAN_FRONTEND=noninteractive"]);
        command.args(["sh", "-c", &format!("cd /root && {line}")]);
        let output = command.stdin(Stdio::null()).output()?;
        Ok(Output {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }

    /// Runs a command line that must succeed, and returns its standard output.
    ///
    /// Errors: it fails; the error has its output.
    pub fn run(&self, line: &str) -> anyhow::Result<String> {
        let output = self.shell(line)?;
        if output.code != Some(0) {
            bail!(
                "`{line}`: {:?}\n{}{}",
                output.code,
                output.stdout,
                output.stderr
            );
        }
        Ok(output.stdout)
    }

    /// Copies a file to the home of root.
    ///
    /// Errors: it can't be read or written.
    pub fn give(&self, file: &Path) -> anyhow::Result<()> {
        let name = file.file_name().context("a file without a name")?;
        fs::copy(file, self.path("/root").join(name))?;
        Ok(())
    }

    /// Returns the path outside of the system for a path on it.
    pub fn path(&self, inside: &str) -> PathBuf {
        self.root.join(inside.trim_start_matches('/'))
    }

    /// Returns the log of the system since its start.
    pub fn log(&self) -> String {
        self.run("journalctl --no-pager -o short-monotonic -n 200")
            .unwrap_or_else(|error| error.to_string())
    }

    /// Waits for the child of the process that holds the namespaces.
    fn first_process(&mut self) -> anyhow::Result<u32> {
        let holder = self.system.id();
        let list = format!("/proc/{holder}/task/{holder}/children");
        let found = self.poll("no first process", |_| {
            let children = fs::read_to_string(&list).ok()?;
            children.split_whitespace().next()?.parse().ok()
        })?;
        Ok(found)
    }

    fn wait_until_up(&mut self) -> anyhow::Result<()> {
        self.poll("the system does not start", |host| {
            let state = host.shell("systemctl is-system-running --wait").ok()?;
            matches!(state.stdout.trim(), "running" | "degraded").then_some(())
        })
    }

    fn poll<T>(&mut self, what: &str, probe: impl Fn(&Self) -> Option<T>) -> anyhow::Result<T> {
        let start = Instant::now();
        loop {
            if let Some(found) = probe(self) {
                return Ok(found);
            }
            let ended = self.system.try_wait()?;
            if ended.is_some() || start.elapsed() > PATIENCE {
                let console = fs::read_to_string(&self.console).unwrap_or_default();
                bail!("{what} ({ended:?}):\n{console}");
            }
            sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // The kernel kills all processes of the system with its first one.
        let _ = self.system.kill();
        let _ = self.system.wait();
        let _ = fs::remove_file(&self.console);
        if let Err(error) = run(Command::new("rm")
            .args(["-rf", "--one-file-system"])
            .arg(&self.root))
        {
            eprintln!("{error:#}");
        }
    }
}

/// Starts the system in new namespaces, in the control group. The process is the one that holds them: each
/// program here replaces the one before.
fn spawn(
    lab: &Lab,
    name: &str,
    root: &Path,
    console: &Path,
    cgroup: &Cgroup,
) -> anyhow::Result<Child> {
    // Before `ip netns exec`, which hides the mount of the control groups.
    let join = "echo $$ > \"$0\" && exec \"$@\"";
    let mut command = Command::new("sh");
    command.args(["-c", join]).arg(cgroup.members());
    command.args(["ip", "netns", "exec", &lab.host(name)]);
    command.args(NAMESPACES.split(' '));
    command.args(["sh", "-c", BOOT, "boot"]);
    command.arg(root).arg(console);
    let log = fs::File::options().append(true).open(console)?;
    let child = command
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn();
    child.context("the system can't be started")
}
