//! `m2 listen`: delivery at least once, commands and dead letters, against a fake daemon.
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

use std::process::Stdio;
use std::time::Duration;

use m2_proto::api::v1::StartAt;
use support::{BOB_ID, Fake, received};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};

#[tokio::test]
async fn events_are_printed_and_then_acknowledged() {
    let fake = Fake::start().await;
    fake.state().events = vec![received("1", "one"), received("2", "two")];
    let arguments = ["--json", "listen", "--client", "bot", "--count", "2"];
    let run = fake.run(&arguments).await;
    assert_eq!(run.code, 0, "{run:?}");
    let events = run.json();
    assert_eq!(events[0]["cursor"], "1");
    assert_eq!(events[0]["time"], "2023-11-14T22:13:20Z");
    assert_eq!(events[0]["messageReceived"]["messageId"], "id-1");
    assert_eq!(events[0]["messageReceived"]["peerId"], BOB_ID);
    assert_eq!(events[1]["messageReceived"]["text"], "two");
    assert_eq!(fake.state().acknowledged.last().unwrap(), "2");
}

#[tokio::test]
async fn without_a_name_nothing_is_acknowledged() {
    let fake = Fake::start().await;
    fake.state().events = vec![received("1", "one")];
    let run = fake
        .run(&["listen", "--from", "start", "--count", "1"])
        .await;
    assert_eq!(run.stdout, "2023-11-14 22:13  bob  one\n");
    assert!(fake.state().acknowledged.is_empty());
    let asked = fake.state().subscribed.clone().unwrap();
    assert_eq!(asked.start_at(), StartAt::Start);
}

#[tokio::test]
async fn a_cursor_selects_the_start() {
    let fake = Fake::start().await;
    fake.state().events = vec![received("1", "one")];
    fake.run(&["--json", "listen", "--from", "17", "--count", "1"])
        .await;
    let asked = fake.state().subscribed.clone().unwrap();
    assert_eq!(asked.after, "17");
    assert_eq!(asked.start_at(), StartAt::Unspecified);
}

#[tokio::test]
async fn a_signal_ends_it_normally_and_printed_events_are_not_repeated() {
    let fake = Fake::start().await;
    fake.state().events = vec![received("1", "one")];
    let mut child = fake
        .m2(&["--json", "listen", "--client", "bot"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.next_line().await.unwrap().unwrap().contains("one"));
    let pid = child.id().unwrap().to_string();
    // The acknowledgement follows as soon as no further event is available.
    wait_for(|| fake.state().acknowledged == ["1"]).await;
    // Uses the shell's built-in `kill`, because a minimal system has no program of that name.
    let kill = tokio::process::Command::new("sh")
        .args(["-c", &format!("kill {pid}")])
        .status();
    assert!(kill.await.unwrap().success());
    assert_eq!(child.wait().await.unwrap().code(), Some(0));
}

#[tokio::test]
async fn without_a_reader_nothing_is_acknowledged() {
    let fake = Fake::start().await;
    fake.state().events = vec![received("1", "one"), received("2", "two")];
    let mut child = fake
        .m2(&["--json", "listen", "--client", "bot"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let ended = child.wait_with_output().await.unwrap();
    assert_eq!(ended.status.code(), Some(0));
    assert!(ended.stderr.is_empty());
    assert!(fake.state().acknowledged.is_empty());
}

#[tokio::test]
async fn events_taken_by_a_reader_that_exits_are_not_acknowledged() {
    let fake = Fake::start().await;
    let texts = (1..=12).map(|number| received(&number.to_string(), "text"));
    fake.state().events = texts.collect();
    let mut child = fake
        .m2(&["--json", "listen", "--client", "bot"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    // The reader behaves like `head`: it takes everything that is available, and exits.
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    for _ in 0..12 {
        lines.next_line().await.unwrap().unwrap();
    }
    drop(lines);
    let ended = tokio::time::timeout(Duration::from_secs(60), child.wait()).await;
    assert_eq!(ended.unwrap().unwrap().code(), Some(0));
    assert!(fake.state().acknowledged.is_empty());
}

#[tokio::test]
async fn events_in_the_pipe_are_not_acknowledged() {
    let fake = Fake::start().await;
    fake.state().events = vec![received("1", "one"), received("2", "two")];
    let mut child = fake
        .m2(&["--json", "listen", "--client", "bot"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdout = child.stdout.take().unwrap();
    // One byte of the second event stays in the pipe.
    let first = fake.run(&["--json", "listen", "--from", "start", "--count", "1"]);
    let mut taken = vec![0; first.await.stdout.len() + 1];
    stdout.read_exact(&mut taken).await.unwrap();
    wait_for(|| fake.state().acknowledged == ["1"]).await;
    let mut rest = vec![0; taken.len() - 2];
    stdout.read_exact(&mut rest).await.unwrap();
    wait_for(|| fake.state().acknowledged == ["1", "2"]).await;
    child.kill().await.unwrap();
}

#[tokio::test]
async fn a_command_gets_the_event() {
    let fake = Fake::start().await;
    fake.state().events = vec![received("1", "one")];
    let command = "cat; echo $M2_EVENT $M2_CURSOR $M2_PEER_ID $M2_MESSAGE_ID $M2_SOCKET";
    let arguments = [
        "listen", "--client", "bot", "--count", "1", "--exec", command,
    ];
    let run = fake.run(&arguments).await;
    let (json, environment) = run.stdout.split_once('\n').unwrap();
    let event: serde_json::Value = serde_json::from_str(json).unwrap();
    assert_eq!(event["messageReceived"]["text"], "one");
    let socket = fake.socket().display().to_string();
    assert_eq!(
        environment.trim(),
        format!("messageReceived 1 {BOB_ID} id-1 {socket}")
    );
    assert_eq!(fake.state().acknowledged, ["1"]);
}

#[tokio::test]
async fn a_command_that_fails_at_first_is_retried() {
    let fake = Fake::start().await;
    fake.state().events = vec![received("1", "one")];
    let tries = fake.dir().join("tries");
    let command = format!("echo x >> {0}; test $(wc -l < {0}) -ge 2", tries.display());
    let run = fake
        .run(&[
            "--json",
            "listen",
            "--client",
            "bot",
            "--count",
            "1",
            "--retry-delay",
            "1s",
            "--exec",
            &command,
        ])
        .await;
    assert_eq!(run.code, 0);
    assert_eq!(run.stdout, "");
    assert_eq!(std::fs::read_to_string(&tries).unwrap(), "x\nx\n");
    assert_eq!(fake.state().acknowledged, ["1"]);
}

#[tokio::test]
async fn a_command_that_always_fails_leaves_a_dead_letter() {
    let fake = Fake::start().await;
    fake.state().events = vec![received("1", "one"), received("2", "two")];
    let tries = fake.dir().join("tries");
    let command = format!(
        "test $M2_CURSOR = 2 && exit 0; echo x >> {}; exit 7",
        tries.display()
    );
    let run = fake
        .run(&[
            "listen",
            "--client",
            "bot",
            "--count",
            "2",
            "--retry-delay",
            "1ms",
            "--exec",
            &command,
        ])
        .await;
    assert_eq!(run.code, 0, "{run:?}");
    let letter = &run.json()[0];
    assert_eq!(letter["cursor"], "1");
    assert_eq!(letter["deadLetter"]["attempts"], 5);
    assert!(
        letter["deadLetter"]["lastError"]
            .as_str()
            .unwrap()
            .contains('7')
    );
    let event = &letter["deadLetter"]["event"];
    assert_eq!(event["messageReceived"]["text"], "one");
    assert_eq!(std::fs::read_to_string(&tries).unwrap().lines().count(), 5);
    assert_eq!(fake.state().acknowledged, ["1", "2"]);
}

async fn wait_for(is_so: impl Fn() -> bool) {
    for _ in 0..6_000 {
        if is_so() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it did not happen");
}
