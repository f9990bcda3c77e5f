//! Whole systems to install packages in: a bare Debian root with a real systemd as its first process, in
//! namespaces of its own. Requires root, debootstrap, iproute2 and, the first time, the network.

mod base;
mod cgroup;
mod host;
mod package;

pub use base::Base;
pub(crate) use cgroup::Cgroup;
pub use host::Host;
pub use package::Package;

use crate::skip::skip;
use std::process::Command;

/// Returns whether this machine can run such systems; if not, reports the test as skipped.
pub fn is_possible() -> bool {
    let mut programs = vec!["debootstrap", "dpkg-deb", "ip", "nsenter", "unshare"];
    if std::env::var_os(package::ARTEFACTS).is_none() {
        programs.push("cargo-deb");
    }
    for program in programs {
        if !is_installed(program) {
            skip(&format!("{program} is not installed"));
            return false;
        }
    }
    if !rustix::process::geteuid().is_root() {
        skip("a system of its own needs root");
        return false;
    }
    true
}

/// Returns whether a program is on the path. `ip` has no `--version`.
fn is_installed(program: &str) -> bool {
    let found = Command::new("sh")
        .args(["-c", "command -v \"$0\" >/dev/null", program])
        .status();
    found.is_ok_and(|status| status.success())
}

/// Runs a command and returns its standard output.
///
/// Errors: it can't be started or fails; the error has its output.
pub(crate) fn run(command: &mut Command) -> anyhow::Result<String> {
    let output = command.output()?;
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        anyhow::bail!("{command:?}: {}\n{stdout}{stderr}", output.status);
    }
    Ok(stdout)
}
