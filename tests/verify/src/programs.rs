//! Runs the test programs of the workspace, several at a time. `cargo test` runs one after the
//! other, and most tests spend their time waiting.

use super::command::{cargo, failed_test, passed_tests, skipped_test};
use super::step::Outcome;
use anyhow::{Context as _, bail};
use serde_json::Value;
use std::collections::{BTreeSet, VecDeque};
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// The programs that run at a time.
const AT_ONCE: usize = 2;
/// The environment variable for the number of tests that one program runs concurrently.
const THREADS: &str = "RUST_TEST_THREADS";

/// How long one program may run. The longest takes two minutes on two busy cores.
const LIMIT: Duration = Duration::from_secs(15 * 60);
/// How long the output of a program that has ended is read.
const LEFT_OPEN: Duration = Duration::from_secs(5);
/// The interval at which the end of a program is noticed.
const POLL: Duration = Duration::from_millis(20);

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
    let ended = run_limited(command, &program.name, LIMIT, LEFT_OPEN)?;
    let took = began.elapsed().as_secs_f64();
    let outcome = count(&program.name, &ended);
    let Ended { errors, tests, .. } = ended;
    let shown = format!("    Ran {} in {took:.1} s\n{errors}{tests}", program.name);
    Ok((outcome, shown))
}

fn count(name: &str, ended: &Ended) -> Outcome {
    let mut outcome = Outcome::default();
    for line in ended.tests.lines() {
        outcome.add(failed_test(line));
        outcome.passed += passed_tests(line);
    }
    let skipped: BTreeSet<String> = ended.errors.lines().filter_map(skipped_test).collect();
    outcome.skipped = skipped.len() as u64;
    outcome.passed = outcome.passed.saturating_sub(outcome.skipped);
    match &ended.result {
        Ok(status) if status.success() || outcome.failed > 0 => {}
        Ok(status) => outcome.add(Outcome::failure(format!("{name} failed ({status})"))),
        Err(why) => outcome.add(Outcome::failure(format!("{name} {why}"))),
    }
    outcome
}

/// What a program that ended has printed, and its status or what went wrong with it.
struct Ended {
    tests: String,
    errors: String,
    result: Result<ExitStatus, &'static str>,
}

/// Runs `command` for at most `limit`, then kills it. Its output is read until `left_open` after its end:
/// a process that it left running may hold the output open for ever.
fn run_limited(
    mut command: Command,
    name: &str,
    limit: Duration,
    left_open: Duration,
) -> anyhow::Result<Ended> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("could not start {name}"))?;
    let errors = child.stderr.take().map(|errors| Output::read("", errors));
    let tests = child.stdout.take().map(|tests| Output::read(name, tests));
    let status = wait(&mut child, limit)?;
    let deadline = Instant::now() + left_open;
    let (errors, errors_ended) = errors.map_or_else(Default::default, |read| read.take(deadline));
    let (tests, tests_ended) = tests.map_or_else(Default::default, |read| read.take(deadline));
    let result = match status {
        None => Err("was ended because it took too long"),
        Some(_) if !(errors_ended && tests_ended) => Err("left a process running"),
        Some(status) => Ok(status),
    };
    Ok(Ended {
        tests,
        errors,
        result,
    })
}

/// Waits for a program. Kills it after `limit`, and then returns none.
fn wait(child: &mut Child, limit: Duration) -> anyhow::Result<Option<ExitStatus>> {
    let deadline = Instant::now() + limit;
    while Instant::now() < deadline {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        thread::sleep(POLL);
    }
    child.kill()?;
    child.wait()?;
    Ok(None)
}

/// Output of a program that a thread reads.
struct Output {
    read: Arc<Mutex<String>>,
    ended: Receiver<()>,
}

impl Output {
    /// Reads `from` to its end. Shows at once which test of the program `name` takes long.
    fn read(name: &str, from: impl Read + Send + 'static) -> Self {
        let (end, ended) = mpsc::channel::<()>();
        let read = Arc::<Mutex<String>>::default();
        let (name, all) = (name.to_owned(), read.clone());
        thread::spawn(move || {
            // Dropping it reports the end.
            let _end = end;
            for line in BufReader::new(from).split(b'\n').map_while(Result::ok) {
                let line = String::from_utf8_lossy(&line);
                if line.contains(TAKES_LONG) {
                    println!("    {name}: {line}");
                }
                let mut all = all.lock().unwrap_or_else(PoisonError::into_inner);
                all.push_str(&line);
                all.push('\n');
            }
        });
        Self { read, ended }
    }

    /// Returns what was read until `deadline`, and whether that was all.
    fn take(self, deadline: Instant) -> (String, bool) {
        let left = deadline.saturating_duration_since(Instant::now());
        let ended = self.ended.recv_timeout(left) != Err(RecvTimeoutError::Timeout);
        let read = std::mem::take(&mut *self.read.lock().unwrap_or_else(PoisonError::into_inner));
        (read, ended)
    }
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

    fn script(text: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", text]);
        command
    }

    #[test]
    fn a_program_that_takes_too_long_is_ended_and_fails() {
        let hangs = script("echo 'test a::b ... ok'; exec sleep 60");
        let limit = Duration::from_millis(300);
        let ended = run_limited(hangs, "hangs", limit, limit).unwrap();
        assert_eq!(ended.tests, "test a::b ... ok\n");
        assert_eq!(count("hangs", &ended).failed, 1);
    }

    #[test]
    fn a_program_that_leaves_a_process_running_fails() {
        let leaves = script("sleep 3 & echo 'test result: ok. 1 passed; 0 failed;'");
        let (limit, left_open) = (Duration::from_secs(60), Duration::from_millis(200));
        let ended = run_limited(leaves, "leaves", limit, left_open).unwrap();
        let outcome = count("leaves", &ended);
        assert_eq!((outcome.passed, outcome.failed), (1, 1));
    }

    #[test]
    fn the_tests_of_a_program_that_ends_are_counted() {
        let ends =
            script("echo 'test result: ok. 3 passed; 0 failed;'; echo 'SKIPPED a: no nft' >&2");
        let limit = Duration::from_secs(60);
        let ended = run_limited(ends, "ends", limit, limit).unwrap();
        let outcome = count("ends", &ended);
        assert_eq!((outcome.passed, outcome.skipped, outcome.failed), (2, 1, 0));
    }
}
