//! Runs other programs for the verification steps.

use super::step::Outcome;
use crate::SKIPPED;
use anyhow::Context as _;
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};
use std::thread;

/// Returns a command for the cargo that runs this program, in `directory`.
pub(super) fn cargo(directory: &std::path::Path) -> Command {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(program);
    command.current_dir(directory);
    command
}

/// Runs `command` with its output on this program's output. Counts as one check.
pub(super) fn check(mut command: Command) -> anyhow::Result<Outcome> {
    let shown = show(&command);
    let status = command
        .status()
        .with_context(|| format!("could not start `{shown}`"))?;
    Ok(if status.success() {
        Outcome::success()
    } else {
        Outcome::failure(format!("`{shown}` failed ({status})"))
    })
}

/// Runs `command`. If it fails, prints its standard error; otherwise prints only the last line that
/// starts with `result`. Counts as one check.
pub(super) fn check_quietly(mut command: Command, result: &str) -> anyhow::Result<Outcome> {
    let shown = show(&command);
    let output = command
        .output()
        .with_context(|| format!("could not start `{shown}`"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        println!("{said}");
        return Ok(Outcome::failure(format!(
            "`{shown}` failed ({})",
            output.status
        )));
    }
    if let Some(line) = said.lines().rfind(|line| line.starts_with(result)) {
        println!("    {line}");
    }
    Ok(Outcome::success())
}

/// Runs a `cargo test`, prints its output as it arrives, and counts the tests in it. A test that
/// reports itself as skipped passes for libtest, and is counted as skipped here.
pub(super) fn count_tests(mut command: Command) -> anyhow::Result<Outcome> {
    let shown = show(&command);
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("could not start `{shown}`"))?;
    let errors = child.stderr.take();
    let errors = thread::spawn(move || errors.map(skipped_tests).unwrap_or_default());
    let mut outcome = Outcome::default();
    if let Some(stdout) = child.stdout.take() {
        for line in BufReader::new(stdout).lines() {
            let line = line.with_context(|| format!("could not read from `{shown}`"))?;
            println!("{line}");
            outcome.add(failed_test(&line));
            outcome.passed += passed_tests(&line);
        }
    }
    let status = child.wait()?;
    outcome.skipped = errors.join().map_or(0, |skipped| skipped.len() as u64);
    outcome.passed = outcome.passed.saturating_sub(outcome.skipped);
    if !status.success() && outcome.failed == 0 {
        outcome.add(Outcome::failure(format!("`{shown}` failed ({status})")));
    }
    Ok(outcome)
}

/// Returns whether `program` can be started on this machine.
pub fn installed(program: &str) -> bool {
    Command::new(program)
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Copies a test run's standard error to this program's as it arrives, and returns the tests that
/// report themselves as skipped in it.
fn skipped_tests(errors: impl Read) -> BTreeSet<String> {
    let mut skipped = BTreeSet::new();
    for line in BufReader::new(errors).lines().map_while(Result::ok) {
        skipped.extend(skipped_test(&line));
        eprintln!("{line}");
    }
    skipped
}

/// Returns the name in `SKIPPED NAME: why`.
pub(super) fn skipped_test(line: &str) -> Option<String> {
    let rest = line.strip_prefix(SKIPPED)?.strip_prefix(' ')?;
    let (name, _) = rest.split_once(": ")?;
    Some(name.to_owned())
}

/// Returns the number in `test result: ok. 12 passed; 0 failed; …`.
pub(super) fn passed_tests(line: &str) -> u64 {
    line.strip_prefix("test result: ")
        .and_then(|rest| rest.split_once(". "))
        .and_then(|(_, counts)| counts.split_once(" passed;"))
        .and_then(|(passed, _)| passed.parse().ok())
        .unwrap_or(0)
}

/// Returns one failure for a line `test NAME ... FAILED`.
pub(super) fn failed_test(line: &str) -> Outcome {
    line.strip_prefix("test ")
        .and_then(|rest| rest.strip_suffix(" ... FAILED"))
        .map_or_else(Outcome::default, Outcome::failure)
}

fn show(command: &Command) -> String {
    let mut text = std::path::Path::new(command.get_program())
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    for argument in command.get_args() {
        text.push(' ');
        text.push_str(&argument.to_string_lossy());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_output_of_libtest_is_counted() {
        let line = "test result: FAILED. 12 passed; 3 failed; 0 ignored; 0 measured";
        assert_eq!(passed_tests(line), 12);
        assert_eq!(passed_tests("running 12 tests"), 0);
        assert_eq!(failed_test("test a::b ... FAILED").failed, 1);
        assert_eq!(failed_test("test a::b ... ok").failed, 0);
    }

    #[test]
    fn a_test_that_reports_two_missing_programs_is_skipped_once() {
        let errors = "   Compiling m2d\nSKIPPED lab::nat: no nft\nSKIPPED lab::nat: no miniupnpd\n\
                      SKIPPED other: no openssl\nSKIPPED: a step\n";
        let skipped = skipped_tests(errors.as_bytes());
        assert_eq!(Vec::from_iter(skipped), ["lab::nat", "other"]);
    }
}
