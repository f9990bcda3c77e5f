//! `cargo quickstart`: what it builds, and with which profile.

use super::command::cargo;
use super::{PREBUILT, seconds, workspace};
use anyhow::Context as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

/// The profile: quick to build, without link-time optimisation.
const PROFILE: &str = "quickstart";
/// The package of the program that runs the demonstration, and the program.
const PLAYER: (&str, &str) = ("m2-harness", "quickstart-play");

/// Builds the daemon, the command line and the demonstration, with cargo's progress on the terminal, and
/// runs the demonstration. Returns whether both succeeded.
///
/// Errors: cargo or the demonstration can't be started.
pub fn quickstart() -> anyhow::Result<bool> {
    println!(
        "Building the daemon and the command line. The first time takes some minutes: about four on \
         two cores, most of them for the cryptography and the database."
    );
    let root = workspace::root()?;
    let start = Instant::now();
    let mut build = cargo(&root);
    build.args(["build", "--locked", "--profile", PROFILE]);
    // All in one build, so that no dependency is built twice with different features.
    build.args(["-p", "m2d", "-p", "m2-cli", "-p", PLAYER.0, "--bins"]);
    // Without the store of mailboxes in a NATS cluster.
    build.arg("--no-default-features");
    if !build.status().context("could not start cargo")?.success() {
        return Ok(false);
    }
    println!("Built in {}.", seconds(start.elapsed()));
    let file = format!("{}{}", PLAYER.1, std::env::consts::EXE_SUFFIX);
    let program = target_directory()?.join(PROFILE).join(file);
    let start = Instant::now();
    let status = Command::new(&program).env(PREBUILT, "1").status();
    let status = status.with_context(|| format!("could not start {}", program.display()))?;
    println!("Shown in {}.", seconds(start.elapsed()));
    Ok(status.success())
}

/// Returns cargo's target directory: the running program is in `PROFILE/` there.
fn target_directory() -> anyhow::Result<PathBuf> {
    let program = std::env::current_exe().context("the path of the running program is unknown")?;
    let target = program.parent().and_then(Path::parent);
    Ok(target
        .context("the running program is in no directory")?
        .to_path_buf())
}
