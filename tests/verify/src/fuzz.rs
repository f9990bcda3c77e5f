//! The fuzz step: builds the targets of `tests/fuzz` on the stable toolchain, replays their corpora
//! and fuzzes each target for a short time.
//!
//! The flags are those of `cargo fuzz build --sanitizer none`: LLVM's coverage instrumentation is
//! available on stable, the address sanitizer is not.

use super::command::{cargo, check, check_quietly};
use super::step::{Context, Outcome};
use crate::workspace;
use anyhow::Context as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const FLAGS: &str = "--cfg fuzzing -Cpasses=sancov-module -Ccodegen-units=1 \
    -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
    -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares \
    -Cllvm-args=-simplifycfg-branch-fold-threshold=0 \
    -Cdebug-assertions";

/// Seconds that one input may take before it counts as a hang.
const INPUT_SECONDS: u32 = 10;

pub(super) fn run(context: &Context) -> anyhow::Result<Outcome> {
    let fuzz = context.root.join("tests/fuzz");
    let names = targets(&fuzz)?;
    let host = host(&context.root)?;
    let built = workspace::target(&context.root).join("fuzz");
    let mut outcome = check(build(&fuzz, &built, &host))?;
    if outcome.failed > 0 {
        return Ok(outcome);
    }
    let binaries = built.join(&host).join("release");
    for name in names {
        outcome.add(replay(&fuzz, &binaries, &name)?);
        if context.fuzz_seconds > 0 {
            outcome.add(explore(&fuzz, &binaries, &name, context.fuzz_seconds)?);
        }
    }
    Ok(outcome)
}

/// Returns the names of the targets: one per file in `fuzz_targets`.
fn targets(fuzz: &Path) -> anyhow::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(fuzz.join("fuzz_targets")).context("no fuzz targets")? {
        let path = entry?.path();
        if let (Some(stem), Some("rs")) = (path.file_stem(), extension(&path)) {
            names.push(stem.to_string_lossy().into_owned());
        }
    }
    names.sort();
    Ok(names)
}

fn extension(path: &Path) -> Option<&str> {
    path.extension()?.to_str()
}

/// Passes `--target`, so that build scripts and procedural macros are not instrumented.
fn build(fuzz: &Path, built: &Path, host: &str) -> Command {
    let mut command = cargo(fuzz);
    command.args(["build", "--release", "--bins", "--locked", "--target", host]);
    command.arg("--target-dir").arg(built);
    command.env("RUSTFLAGS", FLAGS);
    command
}

fn replay(fuzz: &Path, binaries: &Path, name: &str) -> anyhow::Result<Outcome> {
    let mut command = target(fuzz, binaries, name);
    command.arg("-runs=0").arg(corpus(fuzz, name));
    check_quietly(command, "nothing")
}

/// Writes new inputs to a temporary directory, which is deleted; inputs are added to the corpus in
/// the repository by hand.
fn explore(fuzz: &Path, binaries: &Path, name: &str, seconds: u32) -> anyhow::Result<Outcome> {
    let found = tempfile::tempdir()?;
    let mut command = target(fuzz, binaries, name);
    command.arg(format!("-max_total_time={seconds}"));
    command.arg(found.path()).arg(corpus(fuzz, name));
    println!("  {name}");
    check_quietly(command, "Done ")
}

fn target(fuzz: &Path, binaries: &Path, name: &str) -> Command {
    let artifacts = fuzz.join("artifacts").join(name);
    // The directory only receives failing inputs; libFuzzer reports if it cannot write there.
    let _ = fs::create_dir_all(&artifacts);
    let mut command = Command::new(binaries.join(name));
    command.current_dir(fuzz);
    command.arg(format!("-artifact_prefix={}/", artifacts.display()));
    command.arg(format!("-timeout={INPUT_SECONDS}"));
    command.args(["-rss_limit_mb=2048", "-verbosity=0"]);
    command
}

fn corpus(fuzz: &Path, name: &str) -> PathBuf {
    fuzz.join("corpus").join(name)
}

/// Returns the target triple of this machine's toolchain.
fn host(root: &Path) -> anyhow::Result<String> {
    let output = Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()))
        .arg("-vV")
        .current_dir(root)
        .output()
        .context("could not start rustc")?;
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .find_map(|line| line.strip_prefix("host: ").map(str::to_owned))
        .context("rustc -vV names no host")
}
