//! `m2 listen --exec --jobs`: commands of several contacts at once, against a fake daemon.
#![cfg(unix)]
#![allow(
    dead_code,
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod support;

use std::path::Path;
use std::time::Duration;

use support::{Fake, Run, received_from};
use tokio::process::{Child, Command};

/// Returns a command that runs `script` for each of `count` events.
fn listen(fake: &Fake, jobs: &str, count: usize, script: &str) -> Command {
    let count = count.to_string();
    let arguments = [
        "--json", "listen", "--client", "bot", "--count", &count, "--jobs", jobs, "--exec", script,
    ];
    let mut command = fake.m2(&arguments);
    command.env("DIR", fake.dir());
    command
}

async fn ended(mut command: Command) -> Run {
    let output = tokio::time::timeout(Duration::from_secs(60), command.output());
    Run::of(output.await.expect("the command hangs").unwrap())
}

fn lines(dir: &Path, file: &str) -> Vec<String> {
    let text = std::fs::read_to_string(dir.join(file)).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

/// Waits until a file of the test has this number of lines.
async fn wait_for_lines(dir: &Path, file: &str, count: usize) {
    for _ in 0..6_000 {
        if lines(dir, file).len() >= count {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{file}: {:?}", lines(dir, file));
}

#[tokio::test]
async fn commands_of_two_contacts_run_at_once() {
    let fake = Fake::start().await;
    fake.state().events = vec![received_from("a", "1", "x"), received_from("b", "2", "x")];
    // Each command waits until the other one runs.
    let script = "touch $DIR/$M2_PEER_ID; while [ -e $DIR ] && ! { [ -e $DIR/a ] && [ -e $DIR/b ]; }; do sleep 0.05; done";
    let run = ended(listen(&fake, "2", 2, script)).await;
    assert_eq!((run.code, run.stdout.as_str()), (0, ""), "{run:?}");
    assert_eq!(fake.state().acknowledged.last().unwrap(), "2");
}

#[tokio::test]
async fn commands_of_one_contact_never_overlap_and_keep_their_order() {
    let fake = Fake::start().await;
    let event = |number: usize| {
        let contact = ["a", "b", "c"][number % 3];
        received_from(contact, &number.to_string(), "x")
    };
    fake.state().events = (1..=30).map(event).collect();
    let script = "echo begin $M2_CURSOR >> $DIR/$M2_PEER_ID; sleep 0.02; \
                  echo end $M2_CURSOR >> $DIR/$M2_PEER_ID";
    let run = ended(listen(&fake, "8", 30, script)).await;
    assert_eq!(run.code, 0, "{run:?}");
    for (place, contact) in ["a", "b", "c"].iter().enumerate() {
        let numbers = (1..=30).filter(|number| number % 3 == place);
        let expected = numbers.flat_map(|n| [format!("begin {n}"), format!("end {n}")]);
        assert_eq!(lines(fake.dir(), contact), expected.collect::<Vec<_>>());
    }
    let acknowledged: Vec<u32> = {
        let state = fake.state();
        state
            .acknowledged
            .iter()
            .map(|cursor| cursor.parse().unwrap())
            .collect()
    };
    assert!(acknowledged.is_sorted());
    assert_eq!(acknowledged.last(), Some(&30));
}

/// Starts a listener whose command for event 1 runs until `go` exists, and waits until the commands
/// of all other events have ended. A command outlives a killed listener, so it also ends when the directory
/// of the test is deleted.
async fn held(fake: &Fake) -> Child {
    fake.state().events = vec![
        received_from("a", "1", "x"),
        received_from("b", "2", "x"),
        received_from("b", "3", "x"),
    ];
    let script = "[ $M2_CURSOR = 1 ] && until [ -e $DIR/go ] || ! [ -e $DIR ]; do sleep 0.05; done; \
                  echo $M2_CURSOR >> $DIR/done";
    let child = listen(fake, "4", 3, script).spawn().unwrap();
    wait_for_lines(fake.dir(), "done", 2).await;
    child
}

#[tokio::test]
async fn only_events_after_which_nothing_is_unfinished_are_acknowledged() {
    let fake = Fake::start().await;
    let mut child = held(&fake).await;
    assert_eq!(lines(fake.dir(), "done"), ["2", "3"]);
    assert!(fake.state().acknowledged.is_empty());
    std::fs::write(fake.dir().join("go"), "").unwrap();
    assert_eq!(child.wait().await.unwrap().code(), Some(0));
    // All three are finished at once, so one acknowledgement covers them.
    assert_eq!(fake.state().acknowledged, ["3"]);
}

#[tokio::test]
async fn after_a_crash_every_event_that_is_not_acknowledged_comes_again() {
    let fake = Fake::start().await;
    let mut child = held(&fake).await;
    child.kill().await.unwrap();
    std::fs::write(fake.dir().join("go"), "").unwrap();
    let script = "echo $M2_CURSOR >> $DIR/again";
    let run = ended(listen(&fake, "1", 3, script)).await;
    assert_eq!(run.code, 0, "{run:?}");
    assert_eq!(lines(fake.dir(), "again"), ["1", "2", "3"]);
}

#[tokio::test]
async fn a_signal_kills_the_commands_and_acknowledges_what_is_finished() {
    let fake = Fake::start().await;
    fake.state().events = vec![received_from("b", "1", "x"), received_from("a", "2", "x")];
    let script = "echo $$ >> $DIR/pids; [ $M2_CURSOR = 1 ] || exec sleep 600";
    let mut child = listen(&fake, "2", 3, script).spawn().unwrap();
    wait_for_lines(fake.dir(), "pids", 2).await;
    for _ in 0..6_000 {
        if fake.state().acknowledged == ["1"] {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let kill = format!("kill {}", child.id().unwrap());
    let kill = Command::new("sh").args(["-c", &kill]).status();
    assert!(kill.await.unwrap().success());
    assert_eq!(child.wait().await.unwrap().code(), Some(0));
    assert_eq!(fake.state().acknowledged, ["1"]);
    let pids = lines(fake.dir(), "pids");
    for _ in 0..6_000 {
        if !pids.iter().any(|pid| runs(pid)) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("a command still runs");
}

/// Returns whether a process runs: it exists, and is not a zombie.
fn runs(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"));
    stat.is_ok_and(|stat| !stat.contains(") Z"))
}

#[tokio::test]
async fn a_contact_whose_command_fails_delays_no_other() {
    let fake = Fake::start().await;
    fake.state().events = vec![
        received_from("a", "1", "x"),
        received_from("a", "2", "x"),
        received_from("b", "3", "x"),
        received_from("b", "4", "x"),
    ];
    // The first event of `a` fails until both of `b` are done, for which one job must suffice.
    let script = "echo $M2_CURSOR >> $DIR/runs; [ $M2_CURSOR != 1 ] || grep -q 4 $DIR/runs";
    let mut command = listen(&fake, "1", 4, script);
    command.args(["--retry-delay", "300ms"]);
    let run = ended(command).await;
    assert_eq!((run.code, run.stdout.as_str()), (0, ""), "{run:?}");
    let runs = lines(fake.dir(), "runs");
    assert_eq!(runs[..2], ["1", "3"]);
    assert_eq!(runs[runs.len() - 2..], ["1", "2"]);
    assert_eq!(fake.state().acknowledged, ["1", "4"]);
}

#[tokio::test]
async fn a_dead_letter_of_one_contact_leaves_the_others_alone() {
    let fake = Fake::start().await;
    fake.state().events = vec![received_from("a", "1", "x"), received_from("b", "2", "x")];
    let mut command = listen(&fake, "2", 2, "[ $M2_PEER_ID = b ]");
    command.args(["--retry-delay", "1ms"]);
    let run = ended(command).await;
    assert_eq!(run.code, 0, "{run:?}");
    assert_eq!(run.json().len(), 1);
    assert_eq!(run.json()[0]["deadLetter"]["attempts"], 5);
    assert_eq!(fake.state().acknowledged.last().unwrap(), "2");
}

#[tokio::test]
async fn a_path_is_run_without_a_shell_and_a_script_without_interpreter_with_one() {
    let fake = Fake::start().await;
    fake.state().events = vec![received_from("a", "1", "a text\nof two lines")];
    for first_line in ["#!/bin/sh\n", ""] {
        let path = fake.dir().join("hook");
        let script = "echo \"$1 $(cat /proc/$PPID/comm) $M2_TEXT\" > $DIR/out; cat >> $DIR/out";
        std::fs::write(&path, format!("{first_line}{script}\n")).unwrap();
        let chmod = Command::new("chmod").arg("+x").arg(&path).status();
        assert!(chmod.await.unwrap().success());
        let hook = format!("{} argument", path.display());
        fake.state().acknowledged.clear();
        let run = ended(listen(&fake, "1", 1, &hook)).await;
        assert_eq!((run.code, run.stdout.as_str()), (0, ""), "{run:?}");
        let out = lines(fake.dir(), "out");
        assert!(
            out[0].starts_with("argument ") && out[0].ends_with(" a text"),
            "{out:?}"
        );
        assert_eq!(out[1], "of two lines");
        assert!(out[2].contains("\"messageReceived\""), "{out:?}");
        if !first_line.is_empty() {
            assert!(out[0].starts_with("argument m2"), "{out:?}");
        }
    }
}
