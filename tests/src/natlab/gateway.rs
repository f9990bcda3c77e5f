//! The port mapping daemon of a router: miniupnpd, which speaks UPnP, NAT-PMP and PCP.

use crate::harness::Lab;
use anyhow::Context as _;
use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Stdio};
use tempfile::TempDir;

/// The environment variable with the program's path, if it is not in `PATH`.
pub(super) const PROGRAM: &str = "M2_MINIUPNPD";

/// A running miniupnpd. Dropping it stops the process.
#[derive(Debug)]
pub struct Gateway {
    child: Child,
    directory: TempDir,
}

impl Gateway {
    /// Starts miniupnpd on the router of network `number`. It adds its rules to the chains for port
    /// mapping (`rules.rs`).
    ///
    /// Errors: miniupnpd is not installed, or cannot be started.
    pub fn start(lab: &Lab, router: &str, number: u8) -> anyhow::Result<Self> {
        let program = find().context("miniupnpd is not installed")?;
        let directory = tempfile::Builder::new().prefix("m2-gateway-").tempdir()?;
        let path = |name: &str| directory.path().join(name);
        let (config, leases, log) = (path("miniupnpd.conf"), path("leases"), path("log"));
        let text = format!(
            "ext_ifname=wan\nlistening_ip=lan\nenable_upnp=yes\nenable_natpmp=yes\n\
             secure_mode=yes\nsystem_uptime=yes\nlease_file={}\n\
             uuid=00000000-0000-4000-8000-00000000000{number}\n\
             upnp_table_name=lab\nupnp_nat_table_name=lab\nupnp_forward_chain=upnp_forward\n\
             upnp_nat_chain=upnp_pre\nupnp_nat_postrouting_chain=upnp_post\n\
             allow 1024-65535 192.168.{number}.0/24 1024-65535\n\
             deny 0-65535 0.0.0.0/0 0-65535\n",
            leases.display()
        );
        fs::write(&config, text)?;
        let multicast = ["ip", "route", "add", "224.0.0.0/4", "dev", "lan"];
        lab.run(router, &multicast)?;
        let log = File::create(log)?;
        let mut command = lab.command(router, &program.to_string_lossy());
        // Keeps the process in the foreground, with its log on standard output.
        command.arg("-d").arg("-f").arg(&config);
        command.arg("-P").arg(directory.path().join("pid"));
        command.stdin(Stdio::null());
        command.stdout(log.try_clone()?).stderr(log);
        let child = command.spawn().context("miniupnpd cannot be started")?;
        Ok(Self { child, directory })
    }

    /// Returns whether miniupnpd is installed.
    pub fn is_installed() -> bool {
        find().is_some()
    }

    /// Returns the log of miniupnpd.
    pub fn log(&self) -> String {
        let bytes = fs::read(self.directory.path().join("log")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // The process may already have exited.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn find() -> Option<PathBuf> {
    if let Some(program) = std::env::var_os(PROGRAM) {
        return Some(program.into()).filter(|program: &PathBuf| program.is_file());
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let directories =
        std::env::split_paths(&path).chain(["/usr/sbin".into(), "/usr/local/sbin".into()]);
    directories
        .map(|directory| directory.join("miniupnpd"))
        .find(|file| file.is_file())
}
