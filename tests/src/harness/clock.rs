//! A wall clock that tests move, for one daemon: a library that is loaded before libc.

use super::Setup;
use anyhow::{Context as _, bail};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;

const SOURCE: &str = include_str!("clock.c");
const LIBRARY: &str = "clock.so";
const SECONDS: &str = "seconds";

/// The clock of one daemon. It can be moved while the daemon runs.
#[derive(Debug)]
pub struct Clock {
    directory: TempDir,
}

impl Clock {
    /// A clock that is right.
    ///
    /// Errors: there is no C compiler `cc` (Debian: build-essential), or no room for files.
    pub fn new() -> anyhow::Result<Self> {
        let directory = tempfile::Builder::new().prefix("m2-clock-").tempdir()?;
        compile(directory.path())?;
        let clock = Self { directory };
        clock.set_ahead(Duration::ZERO)?;
        Ok(clock)
    }

    /// Has a daemon go by this clock.
    #[must_use]
    pub fn for_daemon(&self, setup: Setup) -> Setup {
        setup
            .environment("LD_PRELOAD", &self.path(LIBRARY))
            .environment("M2_CLOCK_FILE", &self.path(SECONDS))
    }

    /// Sets it this far ahead of the machine's, in whole seconds, at once.
    ///
    /// Errors: the file can't be written.
    pub fn set_ahead(&self, by: Duration) -> anyhow::Result<()> {
        self.set_by(by.as_secs().try_into()?)
    }

    /// Sets it this many seconds ahead of the machine's, at once; negative: behind.
    ///
    /// Errors: the file can't be written.
    pub fn set_by(&self, seconds: i64) -> anyhow::Result<()> {
        // Never half written: the daemon reads it all the time.
        let next = self.path("next");
        fs::write(&next, seconds.to_string())?;
        Ok(fs::rename(next, self.path(SECONDS))?)
    }

    fn path(&self, name: &str) -> String {
        self.directory
            .path()
            .join(name)
            .to_string_lossy()
            .into_owned()
    }
}

fn compile(directory: &Path) -> anyhow::Result<()> {
    let source = directory.join("clock.c");
    fs::write(&source, SOURCE)?;
    let output = Command::new("cc")
        .args(["-shared", "-fPIC", "-O2", "-Wall", "-Werror", "-o"])
        .args([&directory.join(LIBRARY), &source])
        .output()
        .context("no C compiler: install cc (Debian: apt-get install build-essential)")?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("cc does not compile clock.c:\n{said}");
    }
    Ok(())
}
