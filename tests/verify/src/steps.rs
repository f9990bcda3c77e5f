//! The steps, in the order in which they run: the cheap ones first.

use super::command::{cargo, check, count_tests, installed};
use super::fuzz;
use super::model;
use super::programs;
use super::python;
use super::step::{Context, Outcome, Step};
use crate::PREBUILT;
use std::process::Command;
use std::thread;

/// Returns all steps.
pub(super) fn all() -> Vec<Step> {
    let step = |name, about, run| Step { name, about, run };
    vec![
        step("format", "the code is formatted", format),
        step("clippy", "clippy reports no warnings", clippy),
        step("repo", "the repository follows its own rules", repo),
        step("test", "every test of the workspace", test),
        step(
            "python",
            "the Python package: style, types, tests with daemons",
            python::run,
        ),
        step("rustcrypto", "m2-crypto without AWS-LC", rustcrypto),
        step("doc", "the code's documentation builds", doc),
        step(
            "fuzz",
            "fuzz corpora pass, and so does a short fuzzing run",
            fuzz::run,
        ),
        step(
            "model",
            "the models of the protocol give the stated results",
            model::run,
        ),
        step("deny", "dependencies comply with deny.toml", deny),
        step("book", "the book builds", book),
    ]
}

fn format(context: &Context) -> anyhow::Result<Outcome> {
    let mut outcome = Outcome::default();
    for directory in [context.root.clone(), context.root.join("tests/fuzz")] {
        let mut command = cargo(&directory);
        command.args(["fmt", "--all", "--check"]);
        outcome.add(check(command)?);
    }
    Ok(outcome)
}

fn clippy(context: &Context) -> anyhow::Result<Outcome> {
    let mut command = cargo(&context.root);
    command.args(["clippy", "--workspace", "--all-targets", "--locked"]);
    command.args(["--", "-D", "warnings"]);
    check(command)
}

/// Passes `--workspace`, so that features unify as in the other steps and nothing is built twice.
fn repo(context: &Context) -> anyhow::Result<Outcome> {
    let mut command = cargo(&context.root);
    command.args(["test", "--workspace", "--locked", "--test", "repo_checks"]);
    command.args(["--", "--nocapture", "--test-threads=1"]);
    let mut outcome = check(command)?;
    // The fuzz targets are a workspace of their own, whose lock file no other step compares before they are built.
    let mut lock = cargo(&context.root.join("tests/fuzz"));
    lock.args(["tree", "--locked", "--depth", "0"]);
    outcome.add(check(lock)?);
    Ok(outcome)
}

/// Builds the programs that scenario tests start first, together with the tests. Built separately,
/// their dependencies would have other features and be built twice. Meanwhile, the packages for Python are
/// installed, which a few tests use.
fn test(context: &Context) -> anyhow::Result<Outcome> {
    let mut build = cargo(&context.root);
    build.args(["build", "--workspace", "--locked", "--bins", "--tests"]);
    let (built, interpreter) = thread::scope(|scope| {
        let prepared = scope.spawn(|| python::prepare(&context.root));
        (check(build), prepared.join().ok().flatten())
    });
    let built = built?;
    if built.failed > 0 {
        return Ok(built);
    }
    let interpreter = interpreter.map(|path| path.to_string_lossy().into_owned());
    let mut environment = vec![(PREBUILT, "1")];
    if let Some(path) = &interpreter
        && std::env::var_os(python::INTERPRETER).is_none()
    {
        environment.push((python::INTERPRETER, path.as_str()));
    }
    let mut outcome = programs::run(&context.root, &environment)?;
    let mut examples = cargo(&context.root);
    examples.args(["test", "--workspace", "--locked", "--no-fail-fast", "--doc"]);
    outcome.add(count_tests(examples)?);
    Ok(outcome)
}

/// Checks that the pure-Rust provider alone passes the same vectors (docs/adr/0003).
fn rustcrypto(context: &Context) -> anyhow::Result<Outcome> {
    let mut command = cargo(&context.root);
    command.args(["test", "-p", "m2-crypto", "--no-default-features"]);
    command.args(["--locked", "--no-fail-fast"]);
    count_tests(command)
}

fn doc(context: &Context) -> anyhow::Result<Outcome> {
    let mut command = cargo(&context.root);
    command.args(["doc", "--workspace", "--no-deps", "--locked"]);
    command.env("RUSTDOCFLAGS", "-D warnings");
    check(command)
}

/// Leaves out the advisories, which need the network; `cargo deny check` without arguments includes
/// them.
fn deny(context: &Context) -> anyhow::Result<Outcome> {
    if !installed("cargo-deny") {
        return Ok(Outcome::skipped(
            "cargo-deny is not installed (cargo install --locked cargo-deny)",
        ));
    }
    let mut command = cargo(&context.root);
    command.args(["deny", "--offline", "--locked", "check"]);
    command.args(["bans", "licenses", "sources"]);
    check(command)
}

fn book(context: &Context) -> anyhow::Result<Outcome> {
    if !installed("mdbook") {
        return Ok(Outcome::skipped(
            "mdbook is not installed (cargo install --locked mdbook)",
        ));
    }
    let mut command = Command::new("mdbook");
    command.arg("build").arg(context.root.join("docs"));
    check(command)
}
