//! The gateway with other programs: a fuzzer, and the tools of the recipes.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod fuzz;
mod recipes;

use m2_tests::skip::skip;
use m2_tests::workspace;
use std::path::PathBuf;
use std::process::Output;
use std::time::Duration;
use tokio::process::Command;
use tokio::time::timeout;

/// The longest run of a tool with few examples.
const LONG: Duration = Duration::from_secs(600);

/// Returns a command that runs a Python tool of `clients/http/tools.txt`, if `clients/http/check` installed it.
fn tool(name: &str) -> Option<Command> {
    let tools = tools();
    let program = tools.join("bin").join(name);
    if !program.is_file() {
        skip(&format!(
            "{name} is not installed: `clients/http/check --prepare`"
        ));
        return None;
    }
    let mut command = Command::new("python3");
    command
        .arg(program)
        .env("PYTHONPATH", tools)
        .env("PYTHONDONTWRITEBYTECODE", "1");
    Some(command)
}

fn tools() -> PathBuf {
    workspace::root().unwrap().join("target/http-tools")
}

fn recipe(name: &str) -> PathBuf {
    workspace::root()
        .unwrap()
        .join("clients/http/recipes")
        .join(name)
}

async fn run(command: &mut Command) -> Output {
    let run = timeout(LONG, command.kill_on_drop(true).output()).await;
    run.unwrap().unwrap()
}

/// Returns everything that a program printed.
fn told(output: &Output) -> String {
    let texts = [&output.stdout, &output.stderr];
    texts.map(|text| String::from_utf8_lossy(text)).concat()
}
