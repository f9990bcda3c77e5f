//! The bare system: Debian's smallest, with systemd. It is made once and copied for each host.

use super::run;
use crate::workspace;
use anyhow::Context as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A bare Debian root directory.
#[derive(Debug)]
pub struct Base {
    directory: PathBuf,
}

impl Base {
    /// Returns the root directory in `target/bareroot`. Makes it if there is none, which takes two minutes and
    /// the network.
    ///
    /// Errors: debootstrap fails.
    pub fn get() -> anyhow::Result<Self> {
        let target = workspace::target(&workspace::root()?);
        let suite = suite();
        let directory = target.join("bareroot").join(&suite);
        if !directory.is_dir() {
            let unfinished = directory.with_extension("unfinished");
            if unfinished.is_dir() {
                fs::remove_dir_all(&unfinished)?;
            }
            fs::create_dir_all(&unfinished)?;
            println!("making a bare Debian root in {}", directory.display());
            let mut debootstrap = Command::new("debootstrap");
            debootstrap.args([
                "--variant=minbase",
                "--include=systemd,systemd-sysv",
                &suite,
            ]);
            run(debootstrap.arg(&unfinished)).context("no bare root")?;
            fs::rename(&unfinished, &directory)?;
        }
        Ok(Self { directory })
    }

    /// Copies the system to a new directory next to it.
    pub(super) fn copy(&self, name: &str) -> anyhow::Result<PathBuf> {
        let name = format!("{}-{name}", self.suite());
        let copy = self.directory.with_file_name(name);
        let mut cp = Command::new("cp");
        cp.args(["-a", "--reflink=auto"]).arg(&self.directory);
        run(cp.arg(&copy))?;
        Ok(copy)
    }

    fn suite(&self) -> String {
        let name = self.directory.file_name().unwrap_or_default();
        name.to_string_lossy().into_owned()
    }
}

/// Returns this machine's release of Debian, so that programs built here run there; elsewhere the stable one.
fn suite() -> String {
    let release = fs::read_to_string(Path::new("/etc/os-release")).unwrap_or_default();
    let value = |key: &str| release.lines().find_map(|line| line.strip_prefix(key));
    match (value("ID="), value("VERSION_CODENAME=")) {
        (Some("debian"), Some(name)) => name.to_owned(),
        _ => "stable".to_owned(),
    }
}
