//! What is released: the version and the time of the commit.

use crate::command::output;
use anyhow::Context as _;
use std::path::Path;
use std::process::Command;

/// The environment variable with the only time that artefacts contain.
pub(crate) const EPOCH: &str = "SOURCE_DATE_EPOCH";

/// A version and its time.
#[derive(Debug, Clone)]
pub(crate) struct Release {
    pub(crate) version: String,
    /// Seconds since 1970: `SOURCE_DATE_EPOCH` if it is set, else the time of the commit.
    pub(crate) epoch: u64,
}

impl Release {
    /// Reads the version of the workspace at `root`, and the time of its commit.
    ///
    /// Errors: git is missing, or the directory is no clone.
    pub(crate) fn of(root: &Path) -> anyhow::Result<Self> {
        let epoch = match std::env::var(EPOCH) {
            Ok(given) => given,
            Err(_) => {
                let mut git = Command::new("git");
                git.args(["log", "-1", "--format=%ct"]).current_dir(root);
                output(&mut git, "or set SOURCE_DATE_EPOCH")?
            }
        };
        let epoch = epoch.trim();
        Ok(Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            epoch: epoch
                .parse()
                .with_context(|| format!("{EPOCH} is \"{epoch}\", not a number of seconds"))?,
        })
    }

    /// Returns the time in a format of `date`, in UTC.
    ///
    /// Errors: `date` fails.
    pub(crate) fn date(&self, format: &str) -> anyhow::Result<String> {
        let mut date = Command::new("date");
        date.args(["-u", "-d", &format!("@{}", self.epoch), format]);
        let date = output(date.env("LC_ALL", "C"), "install coreutils")?;
        Ok(date.trim().to_owned())
    }

    /// Returns the name of this platform in file names.
    pub(crate) fn platform() -> String {
        format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS)
    }
}
