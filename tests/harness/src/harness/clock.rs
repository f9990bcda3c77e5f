//! A wall clock for one daemon, which tests can set: a library that is preloaded before libc.

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

/// The wall clock of one daemon. It can be changed while the daemon runs.
#[derive(Debug)]
pub struct Clock {
    directory: TempDir,
}

impl Clock {
    /// Creates a clock that agrees with the machine's.
    ///
    /// Errors: there is no C compiler `cc` (Debian: build-essential), or a file cannot be written.
    pub fn new() -> anyhow::Result<Self> {
        let directory = tempfile::Builder::new().prefix("m2-clock-").tempdir()?;
        compile(directory.path())?;
        let clock = Self { directory };
        clock.set_ahead(Duration::ZERO)?;
        Ok(clock)
    }

    /// Makes the daemon of `setup` use this clock.
    #[must_use]
    pub fn for_daemon(&self, setup: Setup) -> Setup {
        setup
            .environment("LD_PRELOAD", &self.path(LIBRARY))
            .environment("M2_CLOCK_FILE", &self.path(SECONDS))
    }

    /// Sets the clock ahead of the machine's by `by`, in whole seconds, with immediate effect.
    ///
    /// Errors: the file cannot be written.
    pub fn set_ahead(&self, by: Duration) -> anyhow::Result<()> {
        self.set_by(by.as_secs().try_into()?)
    }

    /// Sets the clock ahead of the machine's by `seconds`, or behind if negative, with immediate
    /// effect.
    ///
    /// Errors: the file cannot be written.
    pub fn set_by(&self, seconds: i64) -> anyhow::Result<()> {
        // The file is replaced atomically: the daemon may read it at any time.
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
