//! The scripts in `clients/cli/examples`, as they are.

use super::{path, run_with, wait_for_client};
use m2_tests::harness::Daemon;
use m2_tests::scenario::Pair;
use m2_tests::workspace;
use std::path::PathBuf;
use tokio::process::Command;

/// Returns a script of the examples, with a daemon for its calls of `m2`.
fn example(name: &str, daemon: &Daemon) -> Command {
    let mut command = Command::new(script(name));
    command
        .env("M2_SOCKET", daemon.socket())
        .env("PATH", path());
    command.kill_on_drop(true);
    command
}

fn script(name: &str) -> PathBuf {
    let root = workspace::root().unwrap();
    root.join("clients/cli/examples").join(name)
}

#[tokio::test]
async fn every_example_is_tested() {
    let directory = script("");
    let entries = std::fs::read_dir(directory).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.collect();
    names.sort();
    let tested = ["README.md", "answer.sh", "confirm.sh", "report.sh"];
    assert_eq!(names, tested);
}

#[tokio::test]
async fn a_report_is_sent_line_by_line() {
    let pair = Pair::start().await.unwrap();
    let (_, bob) = pair.apis().await.unwrap();
    let mut report = example("report.sh", &pair.alice);
    report.args(["bob", "printf", "one\\n\\ntwo\\n"]);
    let (code, stdout, stderr) = run_with(report, b"").await;
    assert_eq!((code, stderr.as_str()), (0, ""), "{stdout}");
    bob.await_text("alice", "two").await.unwrap();
    let received = bob.received("alice").await.unwrap();
    assert_eq!(received[1..], ["one", "two"]);
    assert!(received[0].contains("printf"), "{received:?}");
}

#[tokio::test]
async fn questions_are_answered_by_a_command() {
    let pair = Pair::start().await.unwrap();
    let mut listen = pair.bob.m2_command().unwrap();
    let answer = script("answer.sh").display().to_string();
    listen.args([
        "listen", "--client", "answers", "--jobs", "8", "--exec", &answer,
    ]);
    let mut listen = listen.env("PATH", path()).spawn().unwrap();
    wait_for_client(&pair.bob, "answers", true).await;
    let asked = pair.alice.m2(&["ask", "bob", "date"]).await.unwrap();
    let year = asked.success().unwrap();
    assert!(year.starts_with("20"), "{year}");
    let asked = pair.alice.m2(&["ask", "bob", "rm -rf /"]).await.unwrap();
    let said = asked.success().unwrap();
    assert!(said.contains("date, disk"), "{said}");
    listen.kill().await.unwrap();
}

#[tokio::test]
async fn a_command_runs_after_a_yes() {
    let pair = Pair::start().await.unwrap();
    let (_, bob) = pair.apis().await.unwrap();
    for (said, code) in [("Yes", 0), ("no", 1)] {
        let mut confirm = example("confirm.sh", &pair.alice);
        confirm.args(["bob", "echo", "done", said]);
        let answer = async {
            let question = format!("Shall I run: echo done {said}");
            bob.await_text("alice", &question).await.unwrap();
            let reply = ["reply", "--last", "alice", said];
            pair.bob.m2(&reply).await.unwrap().success().unwrap();
        };
        let ((), (ended, stdout, stderr)) = tokio::join!(answer, run_with(confirm, b""));
        assert_eq!(ended, code, "{stdout} {stderr}");
        assert_eq!(stdout.contains("done"), code == 0, "{stdout}");
    }
}
