//! Debian packages under test.

use super::run;
use crate::harness::Binaries;
use crate::workspace;
use anyhow::Context as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The environment variable with a directory of finished artefacts. Without it, the programs of this build are
/// packaged.
pub(super) const ARTEFACTS: &str = "M2_ARTEFACTS";

/// A Debian package.
#[derive(Debug)]
pub struct Package {
    /// Its file.
    pub file: PathBuf,
}

impl Package {
    /// Returns the package of this build, in `directory`.
    ///
    /// Errors: cargo-deb fails, or there is no finished package.
    pub fn build(directory: &Path) -> anyhow::Result<Self> {
        let made = match std::env::var_os(ARTEFACTS) {
            Some(made) => workspace::root()?.join(made),
            None => {
                let programs = Binaries::get()?.m2d.parent().context("no directory")?;
                let mut command = Command::new(Binaries::beside("m2-artefacts")?);
                command.args(["--only", "deb", "--fast", "--output"]);
                command.arg(directory).arg("--programs").arg(programs);
                run(&mut command)?;
                directory.to_owned()
            }
        };
        let mut files = fs::read_dir(&made)?.filter_map(|entry| Some(entry.ok()?.path()));
        let found = files.find(|path| path.extension().is_some_and(|ending| ending == "deb"));
        let found = found.with_context(|| format!("no package in {}", made.display()))?;
        let file = directory.join(found.file_name().context("a file without a name")?);
        if found != file {
            fs::copy(&found, &file)?;
        }
        Ok(Self { file })
    }

    /// Returns a package with the same programs, but with another version, which claims to store data in another
    /// format.
    ///
    /// Errors: dpkg-deb fails.
    pub fn variant(&self, version: &str, store: u32) -> anyhow::Result<Self> {
        let parent = self.file.parent().context("no directory")?;
        let directory = tempfile::tempdir_in(parent)?;
        let tree = directory.path().join("tree");
        run(Command::new("dpkg-deb")
            .arg("--raw-extract")
            .arg(&self.file)
            .arg(&tree))?;
        edit(&tree.join("DEBIAN/control"), "Version: ", version)?;
        edit(&tree.join("DEBIAN/preinst"), "STORE=", &store.to_string())?;
        edit(
            &tree.join("usr/share/m2/formats"),
            "store ",
            &store.to_string(),
        )?;
        let file = parent.join(format!("m2_{version}_variant.deb"));
        let mut build = Command::new("dpkg-deb");
        build.args(["--build", "--root-owner-group", "-Zgzip", "-z1"]);
        run(build.arg(&tree).arg(&file))?;
        Ok(Self { file })
    }

    /// Returns the name of the package's file.
    pub fn name(&self) -> String {
        let name = self.file.file_name().unwrap_or_default();
        name.to_string_lossy().into_owned()
    }
}

/// Replaces the rest of the line that begins with `key`.
fn edit(file: &Path, key: &str, value: &str) -> anyhow::Result<()> {
    let text = fs::read_to_string(file)?;
    let edited: String = text
        .lines()
        .map(|line| match line.starts_with(key) {
            true => format!("{key}{value}\n"),
            false => format!("{line}\n"),
        })
        .collect();
    let found = text.lines().any(|line| line.starts_with(key));
    anyhow::ensure!(found, "{}: no line {key}", file.display());
    Ok(fs::write(file, edited)?)
}
