//! The Debian package and the RPM.

use crate::command::{cargo, run};
use crate::release::{EPOCH, Release};
use crate::stage::Stage;
use std::process::Command;

/// Makes the Debian package.
///
/// Errors: cargo-deb is missing or fails.
pub(crate) fn deb(stage: &Stage, release: &Release) -> anyhow::Result<()> {
    let mut command = cargo();
    command.args([
        "deb",
        "-p",
        "m2-packaging",
        "--no-build",
        "--no-strip",
        "--locked",
    ]);
    command.arg("--output").arg(stage.made());
    if stage.fast {
        command.arg("--fast");
    }
    tell(&mut command, stage, release);
    run(&mut command, "cargo install --locked cargo-deb")
}

/// Makes the RPM.
///
/// Errors: cargo-generate-rpm is missing or fails.
pub(crate) fn rpm(stage: &Stage, release: &Release) -> anyhow::Result<()> {
    let mut command = cargo();
    command.args([
        "generate-rpm",
        "-p",
        "m2d/packaging",
        "--auto-req",
        "builtin",
    ]);
    if stage.fast {
        command.args(["--payload-compress", "none"]);
    }
    command.arg("--target-dir").arg(&stage.directory);
    command.arg("--output").arg(stage.made());
    tell(&mut command, stage, release);
    run(&mut command, "cargo install --locked cargo-generate-rpm")
}

fn tell(command: &mut Command, stage: &Stage, release: &Release) {
    command.current_dir(&stage.root);
    command.env("CARGO_TARGET_DIR", &stage.directory);
    command.env(EPOCH, release.epoch.to_string());
}
