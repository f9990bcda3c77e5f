//! Runs the test programs of the workspace, several at a time. `cargo test` runs one after the
//! other, and most tests spend their time waiting.

use super::command::{cargo, failed_test, passed_tests, skipped_test};
use super::step::Outcome;
use anyhow::{Context as _, bail};
use serde_json::Value;
use std::collections::{BTreeSet, VecDeque};
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Instant;

/// The programs that run at a time.
const AT_ONCE: usize = 2;
/// The environment variable for the number of tests that one program runs concurrently.
const THREADS: &str = "RUST_TEST_THREADS";

/// What libtest prints of a test that runs for a minute.
const TAKES_LONG: &str = "has been running for over";

/// A built test program.
#[derive(Debug, PartialEq, Eq)]
struct Program {
    /// The package and the target, to be shown.
    name: String,
    executable: PathBuf,
    /// The directory of its package, in which it runs as with `cargo test`.
    package: PathBuf,
}

/// Runs all test programs of the workspace at `root`, with `environment`, and counts their tests.
pub(super) fn run(root: &Path, environment: &[(&str, &str)]) -> anyhow::Result<Outcome> {
    let queue = Mutex::new(VecDeque::from(built(root)?));
    let total = Mutex::new(Outcome::default());
    thread::scope(|scope| {
        let lanes: Vec<_> = (0..AT_ONCE)
            .map(|_| scope.spawn(|| run_from(&queue, &total, environment)))
            .collect();
        for lane in lanes {
            match lane.join() {
                Ok(result) => result?,
                Err(_) => bail!("a thread that runs test programs panicked"),
            }
        }
        Ok(())
    })?;
    Ok(total.into_inner().unwrap_or_else(PoisonError::into_inner))
}

/// Lists the test programs. They are built already, except examples of the workspace.
fn built(root: &Path) -> anyhow::Result<Vec<Program>> {
    let mut command = cargo(root);
    command.args(["test", "--workspace", "--locked", "--no-run", "-q"]);
    command.arg("--message-format=json");
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .context("could not start cargo")?;
    if !output.status.success() {
        bail!("the test programs could not be built");
    }
    let messages = String::from_utf8_lossy(&output.stdout);
    let programs: Vec<Program> = messages.lines().filter_map(program).collect();
    if programs.is_empty() {
        bail!("cargo built no test program");
    }
    Ok(programs)
}

/// Returns the test program that a message of cargo reports.
fn program(message: &str) -> Option<Program> {
    let message: Value = serde_json::from_str(message).ok()?;
    let is_test = message.pointer("/profile/test")?.as_bool()?;
    let executable = message.get("executable")?.as_str().filter(|_| is_test)?;
    let manifest = Path::new(message.get("manifest_path")?.as_str()?);
    let package = manifest.parent()?.to_owned();
    let folder = package.file_name()?.to_string_lossy().into_owned();
    let target = message.pointer("/target/name")?.as_str()?;
    Some(Program {
        name: format!("{folder}::{target}"),
        executable: executable.into(),
        package,
    })
}

fn run_from(
    queue: &Mutex<VecDeque<Program>>,
    total: &Mutex<Outcome>,
    environment: &[(&str, &str)],
) -> anyhow::Result<()> {
    loop {
        let next = queue
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop_front();
        let Some(program) = next else {
            return Ok(());
        };
        let (outcome, shown) = run_one(&program, environment)?;
        // The lock also keeps the output of programs apart.
        let mut total = total.lock().unwrap_or_else(PoisonError::into_inner);
        println!("{shown}");
        total.add(outcome);
    }
}

/// Runs a program. Returns the outcome of its tests, and its output.
fn run_one(program: &Program, environment: &[(&str, &str)]) -> anyhow::Result<(Outcome, String)> {
    println!("    Running {}", program.name);
    let began = Instant::now();
    let mut command = Command::new(&program.executable);
    command
        .current_dir(&program.package)
        .env("CARGO_MANIFEST_DIR", &program.package)
        .envs(environment.iter().copied());
    // Scenario tests spend most of their time waiting.
    if std::env::var_os(THREADS).is_none() {
        let processors = thread::available_parallelism().map_or(2, usize::from);
        command.env(THREADS, (processors + 1).to_string());
    }
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("could not start {}", program.executable.display()))?;
    let errors = child.stderr.take();
    let errors = thread::spawn(move || errors.map(|mut errors| read_all(&mut errors)));
    let tests = child.stdout.take().map(|out| follow(&program.name, out));
    let tests = tests.unwrap_or_default();
    let status = child.wait()?;
    let errors = errors.join().ok().flatten().unwrap_or_default();
    let mut outcome = Outcome::default();
    for line in tests.lines() {
        outcome.add(failed_test(line));
        outcome.passed += passed_tests(line);
    }
    let skipped: BTreeSet<String> = errors.lines().filter_map(skipped_test).collect();
    outcome.skipped = skipped.len() as u64;
    outcome.passed = outcome.passed.saturating_sub(outcome.skipped);
    if !status.success() && outcome.failed == 0 {
        let failure = format!("{} failed ({status})", program.name);
        outcome.add(Outcome::failure(failure));
    }
    let took = began.elapsed().as_secs_f64();
    let shown = format!("    Ran {} in {took:.1} s\n{errors}{tests}", program.name);
    Ok((outcome, shown))
}

/// Reads the output of a program to its end, and shows at once which test takes long.
fn follow(name: &str, output: impl Read) -> String {
    let mut all = String::new();
    for line in BufReader::new(output).lines().map_while(Result::ok) {
        if line.contains(TAKES_LONG) {
            println!("    {name}: {line}");
        }
        all.push_str(&line);
        all.push('\n');
    }
    all
}

fn read_all(output: &mut impl Read) -> String {
    let mut all = Vec::new();
    // What could be read is shown, whatever came after it.
    let _ = output.read_to_end(&mut all);
    String::from_utf8_lossy(&all).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_programs_are_told_from_other_artifacts() {
        let message = |test: bool, executable: &str| {
            format!(
                r#"{{"reason":"compiler-artifact","manifest_path":"/x/m2d/Cargo.toml",
                "target":{{"name":"m2d"}},"profile":{{"test":{test}}},"executable":{executable}}}"#
            )
        };
        let found = program(&message(true, r#""/x/target/m2d-1""#)).unwrap();
        assert_eq!(found.name, "m2d::m2d");
        assert_eq!(found.package, Path::new("/x/m2d"));
        assert_eq!(program(&message(false, r#""/x/target/m2d""#)), None);
        assert_eq!(program(&message(true, "null")), None);
        assert_eq!(program("{}"), None);
    }
}
