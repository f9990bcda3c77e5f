//! `m2 send --lines`.

use super::m2_with;
use m2_tests::scenario::{Api, Pair};
use std::process::Stdio;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};

const SEND: [&str; 4] = ["--json", "send", "bob", "--lines"];

fn numbered(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("line {number}")).collect()
}

#[tokio::test]
async fn every_line_arrives_once_and_in_order() {
    let pair = Pair::start().await.unwrap();
    let (_, bob) = pair.apis().await.unwrap();
    let lines = numbered(3_000);
    let input = format!("{}\n\n", lines.join("\n"));
    let (code, stdout, stderr) = m2_with(&pair.alice, &SEND, input.as_bytes()).await;
    assert_eq!((code, stderr.as_str()), (0, ""));
    assert_eq!(stdout.lines().count(), 3_001);
    let totals: serde_json::Value = serde_json::from_str(stdout.lines().last().unwrap()).unwrap();
    assert_eq!(
        (&totals["queued"], &totals["skipped"]),
        (&3_000.into(), &1.into())
    );
    bob.await_text("alice", "line 2999").await.unwrap();
    assert_eq!(bob.received("alice").await.unwrap(), lines);
}

#[tokio::test]
async fn after_a_crash_of_the_daemon_the_same_key_sends_the_rest() {
    let mut pair = Pair::start().await.unwrap();
    let lines = numbered(500);
    let mut child = pair.alice.m2_command().unwrap();
    child.args(SEND).stdin(Stdio::piped());
    child.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = child.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let half = lines[..250].join("\n") + "\n";
    stdin.write_all(half.as_bytes()).await.unwrap();
    // The daemon dies when some lines are queued. The input is still open.
    let mut stdout = BufReader::new(child.stdout.take().unwrap()).lines();
    for _ in 0..100 {
        stdout.next_line().await.unwrap().unwrap();
    }
    pair.alice.kill9().await.unwrap();
    let mut last = String::new();
    while let Some(line) = stdout.next_line().await.unwrap() {
        last = line;
    }
    // The key is among the totals, and in the sentence that says what to do.
    let totals: serde_json::Value = serde_json::from_str(&last).unwrap();
    let key = totals["key"].as_str().unwrap().to_owned();
    assert_eq!(child.wait().await.unwrap().code(), Some(3), "{totals}");
    let mut stderr = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut stderr)
        .await
        .unwrap();
    assert!(stderr.contains(&key), "{stderr}");
    drop(stdin);

    pair.alice.restart().await.unwrap();
    let again = [&SEND[..], &["--key", &key]].concat();
    let input = lines.join("\n");
    let (code, stdout, stderr) = m2_with(&pair.alice, &again, input.as_bytes()).await;
    assert_eq!((code, stderr.as_str()), (0, ""), "{stdout}");
    let bob = Api::of(&pair.bob).await.unwrap();
    bob.await_text("alice", "line 499").await.unwrap();
    assert_eq!(bob.received("alice").await.unwrap(), lines);
}

#[tokio::test]
async fn the_daemon_refuses_single_lines() {
    let pair = Pair::start().await.unwrap();
    let (_, bob) = pair.apis().await.unwrap();
    let first = b"one\ntwo\nthree\n";
    let key = [&SEND[..], &["--key", "k"]].concat();
    assert_eq!(m2_with(&pair.alice, &key, first).await.0, 0);
    // Another text under the key of the second line.
    let second = b"one\nTWO\nthree\nfour\n";
    let (code, stdout, stderr) = m2_with(&pair.alice, &key, second).await;
    assert_eq!(code, 1);
    assert!(stderr.contains("LINES_FAILED"), "{stderr}");
    let line = stdout.lines().nth(1).unwrap();
    assert!(
        line.contains("KEY_REUSED") && line.contains("\"line\":2"),
        "{line}"
    );
    bob.await_text("alice", "four").await.unwrap();
    let received = bob.received("alice").await.unwrap();
    assert_eq!(received, ["one", "two", "three", "four"]);
}
