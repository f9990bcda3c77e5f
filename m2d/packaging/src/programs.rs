//! The programs of the packages: built so that their bytes depend on the commit and the toolchain alone.

use crate::command::{cargo, output, run};
use crate::options::Options;
use crate::release::{EPOCH, Release};
use anyhow::{Context as _, bail};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The packages with the programs, by builds. The gateway and the bridge have TLS. Built together with them, the daemon
/// would contain a TLS library that it does not use (docs/adr/0028-mqtt-client.md).
const BUILDS: [&[&str]; 2] = [
    &["m2d", "m2-cli", "m2-packaging"],
    &["m2-http", "m2-mcp", "m2-mqtt"],
];
/// The programs. The last one is for the container image only.
pub(crate) const PROGRAMS: [&str; 6] = ["m2d", "m2", "m2-http", "m2-mcp", "m2-mqtt", CONTAINER];
/// The first process in a container.
pub(crate) const CONTAINER: &str = "m2-container";

/// OpenSSL has the paths of its modules compiled in, below the directory in which it was built. None are
/// loaded here, and none should be found in a directory that another user may own.
const OPENSSL: &str = "ENGINESDIR=/nonexistent MODULESDIR=/nonexistent";

/// Builds the programs, unless `options` name a directory with built ones. Returns their directory.
///
/// Errors: the build fails, or a program is missing.
pub(crate) fn get(options: &Options, root: &Path, release: &Release) -> anyhow::Result<PathBuf> {
    let directory = match &options.programs {
        Some(directory) => directory.clone(),
        None => build(&options.profile, root, release)?,
    };
    for program in PROGRAMS {
        let path = directory.join(program);
        if !path.is_file() {
            bail!("{} is missing", path.display());
        }
    }
    Ok(directory)
}

/// Builds in a directory of its own: with other flags than the usual ones, everything is built again.
fn build(profile: &str, root: &Path, release: &Release) -> anyhow::Result<PathBuf> {
    let target = m2_verify::workspace::target(root).join("artefacts-build");
    let flags = rust_flags(&paths(root, &target)?);
    for packages in BUILDS {
        let mut command = cargo();
        command.current_dir(root);
        command.args(["build", "--locked", "--profile", profile]);
        for package in packages {
            command.args(["-p", package]);
        }
        command.args(["--bins", "--target-dir"]).arg(&target);
        command.env("CARGO_ENCODED_RUSTFLAGS", &flags);
        command.env("GNUMAKEFLAGS", OPENSSL);
        command.env("CARGO_INCREMENTAL", "0");
        command.env(EPOCH, release.epoch.to_string());
        run(&mut command, "install it with rustup")?;
    }
    let folder = if profile == "dev" { "debug" } else { profile };
    Ok(target.join(folder))
}

/// A directory of this machine, and its name in programs.
type Renamed = (PathBuf, String);

/// Returns the directories whose paths would be in the programs. Later ones take precedence.
fn paths(root: &Path, target: &Path) -> anyhow::Result<Vec<Renamed>> {
    let advice = "install it with rustup";
    let rustc = |arguments: &[&str]| {
        output(
            Command::new("rustc").args(arguments).current_dir(root),
            advice,
        )
    };
    let sysroot = rustc(&["--print", "sysroot"])?;
    let version = rustc(&["-vV"])?;
    let commit = version
        .lines()
        .find_map(|line| line.strip_prefix("commit-hash: "));
    let library = Path::new(sysroot.trim()).join("lib/rustlib/src/rust");
    Ok(vec![
        (cargo_home()?, "/cargo".to_owned()),
        (root.to_owned(), "/m2".to_owned()),
        (target.to_owned(), "/m2/target".to_owned()),
        // The name that the standard library has where its sources are not installed.
        (library, format!("/rustc/{}", commit.unwrap_or("unknown"))),
    ])
}

fn cargo_home() -> anyhow::Result<PathBuf> {
    let set = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let default = || std::env::home_dir().map(|home| home.join(".cargo"));
    set.or_else(default)
        .context("cargo's directory is unknown: set CARGO_HOME")
}

fn rust_flags(paths: &[Renamed]) -> OsString {
    let mut flags = OsString::new();
    for (path, name) in paths {
        if !flags.is_empty() {
            flags.push("\u{1f}");
        }
        flags.push("--remap-path-prefix=");
        flags.push(path);
        flags.push(format!("={name}"));
    }
    flags
}
