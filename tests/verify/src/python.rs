//! The Python step: the short form of `clients/python/check`, whose tests are counted one by one.

use super::command::{cargo, check};
use super::step::{Context, Outcome};
use crate::workspace;
use anyhow::Context as _;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Names the interpreter with grpcio for the tests that use one.
pub(super) const INTERPRETER: &str = "M2_TESTS_PYTHON";

const SCRIPT: &str = "clients/python/check";
/// The exit code of the script if this machine lacks something.
const LACKING: i32 = 77;
/// The beginning of the line in which it says so.
const SKIPPED: &str = "skipped: ";

/// Builds the programs, unless they are built, and runs the checks. Builds the tests too, as the test step does:
/// without them, the dependencies would have other features and be built twice.
pub(super) fn run(context: &Context) -> anyhow::Result<Outcome> {
    let mut build = cargo(&context.root);
    build.args(["build", "--workspace", "--locked", "--bins", "--tests"]);
    let built = check(build)?;
    if built.failed > 0 {
        return Ok(built);
    }
    let bin = workspace::target(&context.root).join("debug");
    let mut command = script(&context.root);
    command.env("M2_BIN_DIR", bin).stdout(Stdio::piped());
    let mut child = command
        .spawn()
        .with_context(|| format!("could not start {SCRIPT}"))?;
    let mut report = Report::default();
    if let Some(stdout) = child.stdout.take() {
        for line in BufReader::new(stdout).lines() {
            let line = line.with_context(|| format!("could not read from {SCRIPT}"))?;
            println!("{line}");
            report.read(&line);
        }
    }
    Ok(report.outcome(child.wait()?.code()))
}

/// Installs what the short form needs. Returns the interpreter, or `None` if this machine lacks something: the
/// step reports that.
pub(super) fn prepare(root: &Path) -> Option<PathBuf> {
    let mut command = script(root);
    let output = command.arg("--prepare").output().ok()?;
    let told = String::from_utf8_lossy(&output.stdout);
    let last = told.lines().last().filter(|_| output.status.success())?;
    Some(PathBuf::from(last)).filter(|path| path.is_file())
}

fn script(root: &Path) -> Command {
    let mut command = Command::new("bash");
    command.current_dir(root).arg(SCRIPT).arg("--short");
    command.stdin(Stdio::null());
    command
}

/// What the script has printed so far.
#[derive(Debug, Default)]
struct Report {
    outcome: Outcome,
    lacking: Option<String>,
    has_totals: bool,
}

impl Report {
    fn read(&mut self, line: &str) {
        if let Some(reason) = line.strip_prefix(SKIPPED) {
            self.lacking = Some(reason.to_owned());
        } else if let Some(failed) = failed_test(line) {
            self.outcome.add(Outcome::failure(failed));
        } else if let Some((passed, skipped)) = totals(line) {
            self.outcome.passed += passed;
            self.outcome.skipped += skipped;
            self.has_totals = true;
        }
    }

    /// Returns the outcome, given the exit code of the script. A failure of which the output says nothing counts, and
    /// so does a success without any test.
    fn outcome(self, code: Option<i32>) -> Outcome {
        let mut outcome = self.outcome;
        match (code, self.lacking) {
            (Some(LACKING), Some(reason)) => return Outcome::skipped(&reason),
            (Some(0), _) if self.has_totals => {}
            (Some(0), _) => outcome.add(Outcome::failure(format!("{SCRIPT} ran no test"))),
            _ if outcome.failed > 0 => {}
            (code, _) => {
                let told =
                    code.map_or_else(|| "a signal".to_owned(), |code| format!("exit code {code}"));
                outcome.add(Outcome::failure(format!("{SCRIPT} failed ({told})")));
            }
        }
        outcome
    }
}

/// Returns the test in pytest's `FAILED tests/test_a.py::test_b - AssertionError: …`, or one that had an error.
fn failed_test(line: &str) -> Option<String> {
    let rest = line
        .strip_prefix("FAILED ")
        .or_else(|| line.strip_prefix("ERROR "))?;
    let name = rest.split(" - ").next().unwrap_or(rest);
    name.contains("::").then(|| name.trim().to_owned())
}

/// Returns the numbers of passed and skipped tests in pytest's `1 failed, 107 passed, 2 skipped in 51.2s`.
fn totals(line: &str) -> Option<(u64, u64)> {
    let line = line.trim_matches(|sign| sign == '=' || sign == ' ');
    let (counts, time) = line.rsplit_once(" in ")?;
    if !time.starts_with(|sign: char| sign.is_ascii_digit()) {
        return None;
    }
    let (mut passed, mut skipped, mut others) = (None, None, 0);
    for count in counts.split(", ") {
        let (number, word) = count.split_once(' ')?;
        let number: u64 = number.parse().ok()?;
        match word {
            "passed" => passed = Some(number),
            "skipped" => skipped = Some(number),
            _ => others += 1,
        }
    }
    let is_known = passed.is_some() || skipped.is_some() || others > 0;
    is_known.then(|| (passed.unwrap_or(0), skipped.unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(lines: &[&str], code: Option<i32>) -> Outcome {
        let mut report = Report::default();
        for line in lines {
            report.read(line);
        }
        report.outcome(code)
    }

    #[test]
    fn the_output_of_pytest_is_counted() {
        let lines = [
            "== pytest",
            "SKIPPED [1] tests/test_states.py:172: root may use every socket",
            "FAILED tests/test_a.py::test_b[x - y] - AssertionError: assert 1 == 2",
            "ERROR tests/test_a.py::test_c - OSError",
            "===== 1 failed, 107 passed, 2 skipped, 1 error in 51.20s (0:00:51) =====",
        ];
        let outcome = report(&lines, Some(1));
        assert_eq!(
            (outcome.passed, outcome.failed, outcome.skipped),
            (107, 2, 2)
        );
        assert_eq!(totals("5 passed in 0.10s"), Some((5, 0)));
        for other in ["", "5 passed", "is it in 5", "a, b in 3s", "found in 1.0s"] {
            assert_eq!(totals(other), None, "{other}");
        }
    }

    #[test]
    fn a_failure_that_is_no_test_counts_once() {
        assert_eq!(report(&["error: style"], Some(1)).failed, 1);
        assert_eq!(report(&["3 passed in 1.0s"], None).failed, 1);
        assert_eq!(report(&["3 passed in 1.0s"], Some(0)).failed, 0);
        assert_eq!(report(&[], Some(0)).failed, 1);
    }

    #[test]
    fn what_is_lacking_is_the_reason() {
        let outcome = report(&["skipped: no python3"], Some(LACKING));
        assert_eq!(
            (outcome.word(), outcome.remark().as_str()),
            ("SKIPPED", "no python3")
        );
        assert_eq!(report(&["skipped: no python3"], Some(1)).failed, 1);
        assert_eq!(report(&[], Some(LACKING)).failed, 1);
    }
}
