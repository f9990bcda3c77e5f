//! Commands of `m2` for scripts, with real daemons: a message for each line, commands for events,
//! questions and replies.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod ask;
mod examples;
mod jobs;
mod lines;

use anyhow::Context as _;
use m2_tests::harness::{Binaries, Daemon};
use m2_tests::scenario::eventually;
use std::ffi::OsString;
use std::path::Path;
use std::process::Stdio;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

/// Runs `m2` with an input. Returns its exit code, stdout and stderr.
async fn m2_with(daemon: &Daemon, arguments: &[&str], input: &[u8]) -> (i32, String, String) {
    let mut command = daemon.m2_command().unwrap();
    command.args(arguments);
    run_with(command, input).await
}

/// Runs a command with an input. Returns its exit code, stdout and stderr.
async fn run_with(mut command: Command, input: &[u8]) -> (i32, String, String) {
    command.stdin(Stdio::piped());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // A command that fails does not read all of its input.
    let feed = async {
        let _ = stdin.write_all(input).await;
        drop(stdin);
    };
    let (_, output) = tokio::join!(feed, child.wait_with_output());
    let output = output.unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let code = output.status.code().unwrap_or(-1);
    (code, text(&output.stdout), text(&output.stderr))
}

/// Returns a search path on which the built `m2` comes first, for scripts.
fn path() -> OsString {
    let m2 = Binaries::get().unwrap().m2.clone();
    let own = m2.parent().unwrap().to_owned();
    let others = std::env::var_os("PATH").unwrap_or_default();
    let all = std::iter::once(own).chain(std::env::split_paths(&others));
    std::env::join_paths(all).unwrap()
}

/// Returns the lines of a file; none if it does not exist yet.
fn lines_of(path: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

/// Waits until a file has at least this number of lines.
async fn wait_for_lines(path: &Path, count: usize) {
    let wait = eventually("lines in a file", async || {
        Ok((lines_of(path).len() >= count).then_some(()))
    });
    let shown = || format!("{:?}", lines_of(path));
    wait.await.with_context(shown).unwrap();
}

/// Waits until a named front-end of a daemon listens, or listens no longer.
async fn wait_for_client(daemon: &Daemon, name: &str, connected: bool) {
    let wait = eventually("the front-end", async || {
        let list = daemon.m2(&["--json", "client", "list"]).await?.json()?;
        let is = |client: &&serde_json::Value| {
            client["name"] == name && client["connected"] == connected
        };
        Ok(list.iter().find(is).map(|_| ()))
    });
    wait.await.unwrap();
}
