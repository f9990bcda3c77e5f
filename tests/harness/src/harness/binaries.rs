//! Locates and builds the programs under test.

use crate::workspace;
use anyhow::{Context as _, bail};
use m2_verify::PREBUILT;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The paths of the programs under test.
#[derive(Debug, Clone)]
pub struct Binaries {
    /// The daemon, `m2d`.
    pub m2d: PathBuf,
    /// The command line client, `m2`.
    pub m2: PathBuf,
}

impl Binaries {
    /// Returns the programs built with the profile of the running test. Builds them once per
    /// process, unless [`PREBUILT`] is set; that is quick when they are up to date.
    ///
    /// Errors: the build fails.
    pub fn get() -> anyhow::Result<&'static Self> {
        static BUILT: OnceLock<Result<Binaries, String>> = OnceLock::new();
        BUILT
            .get_or_init(|| Self::build().map_err(|error| format!("{error:#}")))
            .as_ref()
            .map_err(|error| anyhow::anyhow!("{error}"))
    }

    /// Returns the path of another program of this package, in the directory of the running one.
    ///
    /// Errors: the program was not built.
    pub fn beside(name: &str) -> anyhow::Result<PathBuf> {
        let file = format!("{name}{}", std::env::consts::EXE_SUFFIX);
        let path = profile_directory()?.join(file);
        if !path.is_file() {
            bail!("{name} was not built: cargo build -p m2-tests --bin {name}");
        }
        Ok(path)
    }

    fn build() -> anyhow::Result<Self> {
        let directory = profile_directory()?;
        if std::env::var_os(PREBUILT).is_none() {
            run_cargo(&directory)?;
        }
        let program =
            |name: &str| directory.join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
        Ok(Self {
            m2d: program("m2d"),
            m2: program("m2"),
        })
    }
}

/// Returns `target/PROFILE`: the running program is in it, or in its `deps` or `examples`
/// directory.
fn profile_directory() -> anyhow::Result<PathBuf> {
    let program = std::env::current_exe().context("the path of the running program is unknown")?;
    program
        .ancestors()
        .skip(1)
        .find(|directory| !directory.ends_with("deps") && !directory.ends_with("examples"))
        .map(Path::to_path_buf)
        .context("the running program is in no directory")
}

/// Returns the profile whose programs are in this directory.
fn profile(directory: &Path) -> String {
    match directory.file_name().map(|name| name.to_string_lossy()) {
        None => "dev".to_owned(),
        Some(name) if name == "debug" => "dev".to_owned(),
        Some(name) => name.into_owned(),
    }
}

fn run_cargo(directory: &Path) -> anyhow::Result<()> {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(workspace::root()?);
    command.args(["build", "--quiet", "--locked", "-p", "m2d", "-p", "m2-cli"]);
    command.args(["--bin", "m2d", "--bin", "m2"]);
    command.args(["--profile", &profile(directory)]);
    if let Some(target) = directory.parent() {
        command.arg("--target-dir").arg(target);
    }
    let output = command.output().context("could not start cargo")?;
    if !output.status.success() {
        bail!(
            "m2d and m2 don't build:\n{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(())
}
