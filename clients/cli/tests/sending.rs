//! `m2 send --lines`, `m2 reply` and `m2 ask`, against a fake daemon.
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

use m2_proto::api::v1::event::Kind;
use m2_proto::api::v1::send_message_request::Content;
use m2_proto::api::v1::{Event, MessageState, MessageStateChanged, StartAt};
use support::{BOB_ID, Fake, Run, event, received, received_from};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};

const LINES: [&str; 4] = ["--json", "send", "bob", "--lines"];

/// Returns the texts that the fake received in a stream.
fn texts(fake: &Fake) -> Vec<String> {
    let streamed = std::mem::take(&mut fake.state().streamed);
    let texts = streamed.into_iter().map(|message| match message.content {
        Some(Content::Text(text)) => text,
        other => panic!("{other:?}"),
    });
    texts.collect()
}

#[tokio::test]
async fn every_line_is_a_message_with_its_own_key() {
    let fake = Fake::start().await;
    let arguments = [&LINES[..], &["--ttl", "1h", "--key", "k", "--thread", "t"]].concat();
    let run = fake.run_with(&arguments, b"one\n\ntwo\r\n three").await;
    assert_eq!(run.code, 0, "{run:?}");
    let sent = fake.state().streamed.clone();
    let keys: Vec<_> = sent.iter().map(|m| m.idempotency_key.as_str()).collect();
    assert_eq!(keys, ["k:1", "k:3", "k:4"]);
    let is_like = |m: &m2_proto::api::v1::SendMessageRequest| {
        m.contact == BOB_ID && m.thread == "t" && m.ttl.is_some_and(|ttl| ttl.seconds == 3_600)
    };
    assert!(sent.iter().all(is_like), "{sent:?}");
    assert_eq!(texts(&fake), ["one", "two", " three"]);
    let json = run.json();
    assert_eq!(json.len(), 4);
    assert_eq!(
        (&json[1]["line"], &json[1]["messageId"]),
        (&3.into(), &"k:3".into())
    );
    assert_eq!(json[1]["state"], "MESSAGE_STATE_QUEUED");
    let totals = serde_json::json!({"queued": 3, "failed": 0, "skipped": 1, "key": "k"});
    assert_eq!(json[3], totals);
    let run = fake.run_with(&LINES[1..], b"one\ntwo\n").await;
    assert_eq!(
        (run.code, run.stdout.as_str()),
        (0, "2 messages are queued.\n")
    );
    let run = fake.run_with(&LINES[1..], b"").await;
    assert_eq!(
        (run.code, run.stdout.as_str()),
        (0, "0 messages are queued.\n")
    );
}

#[tokio::test]
async fn a_line_that_fails_is_reported_and_does_not_stop_the_others() {
    let fake = Fake::start().await;
    let long = "x".repeat(50_000);
    let input = [b"a\nrefuse\n".as_slice(), long.as_bytes(), b"\n\xff\nb\n"].concat();
    let run = fake.run_with(&LINES, &input).await;
    assert_eq!((run.code, run.reason().as_str()), (1, "LINES_FAILED"));
    let json = run.json();
    let reasons: Vec<_> = json
        .iter()
        .map(|line| line["error"]["reason"].clone())
        .collect();
    let (full, large, usage) = ("OUTBOX_FULL", "MESSAGE_TOO_LARGE", "USAGE");
    let none = serde_json::Value::Null;
    let expected = [
        none.clone(),
        full.into(),
        large.into(),
        usage.into(),
        none.clone(),
        none,
    ];
    assert_eq!(reasons, expected);
    let lines: Vec<_> = json
        .iter()
        .filter_map(|line| line["line"].as_u64())
        .collect();
    assert_eq!(lines, [1, 2, 3, 4, 5]);
    assert_eq!(json[5]["failed"], 3);
    assert_eq!(texts(&fake), ["a", "refuse", "b"]);
    let run = fake.run_with(&LINES[1..], &input).await;
    assert_eq!(
        (run.code, run.stdout.as_str()),
        (1, "2 messages are queued.\n")
    );
    assert!(
        run.stderr.contains("line 3: The line has 50000 bytes"),
        "{run:?}"
    );
    assert!(run.stderr.contains("3 of 5 lines failed"), "{run:?}");
}

#[tokio::test]
async fn no_line_follows_one_that_fails_if_that_stops() {
    let fake = Fake::start().await;
    for (input, sent) in [
        (b"a\nrefuse\nb\nc\n".as_slice(), ["a", "refuse"].as_slice()),
        (b"a\n\xff\nb\n".as_slice(), ["a"].as_slice()),
    ] {
        let run = fake
            .run_with(&[&LINES[..], &["--stop-on-error"]].concat(), input)
            .await;
        assert_eq!((run.code, run.reason().as_str()), (1, "LINES_FAILED"));
        assert_eq!(texts(&fake), sent);
    }
}

#[tokio::test]
async fn an_unknown_contact_is_one_error() {
    let fake = Fake::start().await;
    let arguments = ["--json", "send", "nobody", "--lines"];
    let run = fake.run_with(&arguments, b"a\nb\n").await;
    assert_eq!((run.code, run.reason().as_str()), (1, "CONTACT_UNKNOWN"));
    assert_eq!((run.stdout.as_str(), run.stderr.lines().count()), ("", 1));
}

#[tokio::test]
async fn a_stream_that_breaks_says_what_is_queued_and_how_to_go_on() {
    let fake = Fake::start().await;
    let run = fake.run_with(&LINES, b"a\nb\nend\nc\n").await;
    assert_eq!((run.code, run.reason().as_str()), (1, "STOPPING"));
    let totals = run.json().pop().unwrap();
    assert_eq!(totals["queued"], 2);
    let key = totals["key"].as_str().unwrap();
    assert!(key.len() == 32 && run.stderr.contains(key), "{run:?}");
}

#[tokio::test]
async fn an_interrupt_says_what_is_queued() {
    let fake = Fake::start().await;
    let mut child = fake
        .m2(&LINES)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(b"a\nb\nc").await.unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap()).lines();
    for line in ["1", "2"] {
        let shown = stdout.next_line().await.unwrap().unwrap();
        assert!(shown.contains(&format!("\"line\":{line}")), "{shown}");
    }
    interrupt(child.id().unwrap()).await;
    let totals = stdout.next_line().await.unwrap().unwrap();
    assert!(totals.contains("\"queued\":2"), "{totals}");
    let run = Run::of(child.wait_with_output().await.unwrap());
    assert_eq!((run.code, run.reason().as_str()), (1, "INTERRUPTED"));
    drop(stdin);
}

/// Sends SIGINT with the shell's built-in `kill`.
async fn interrupt(pid: u32) {
    let mut kill = tokio::process::Command::new("sh");
    let kill = kill.args(["-c", &format!("kill -INT {pid}")]).status();
    assert!(kill.await.unwrap().success());
}

#[tokio::test]
async fn lines_go_with_no_other_text_and_no_wait() {
    let fake = Fake::start().await;
    let key = "k".repeat(108);
    for arguments in [
        vec!["send", "bob", "x", "--lines"],
        vec!["send", "bob", "--lines", "--wait", "sent"],
        vec!["send", "bob", "x", "--stop-on-error"],
        vec!["send", "bob", "--lines", "--key", &key],
        vec!["listen", "--jobs", "2"],
        vec!["listen", "--exec", "true", "--jobs", "65"],
        vec!["listen", "--exec", "true", "--jobs", "0"],
    ] {
        let run = fake.run(&arguments).await;
        assert_eq!(run.code, 2, "{arguments:?} {run:?}");
    }
}

#[tokio::test]
async fn a_reply_refers_to_its_message_and_joins_its_thread() {
    let fake = Fake::start().await;
    let run = fake
        .run(&["--json", "reply", "theirs", "yes", "--key", "k"])
        .await;
    assert_eq!(run.code, 0, "{run:?}");
    assert_eq!(run.json()[0]["state"], "MESSAGE_STATE_QUEUED");
    let sent = fake.state().sent.take().unwrap();
    assert_eq!(
        (sent.contact.as_str(), sent.reply_to.as_str()),
        (BOB_ID, "theirs")
    );
    assert_eq!(
        (sent.thread.as_str(), sent.idempotency_key.as_str()),
        ("thread", "k")
    );
    assert_eq!(sent.content, Some(Content::Text("yes".to_owned())));
    let run = fake.run_with(&["reply", "--last", "bob"], b"yes\n").await;
    assert_eq!(run.code, 0, "{run:?}");
    let sent = fake.state().sent.take().unwrap();
    assert_eq!(
        (sent.contact.as_str(), sent.reply_to.as_str()),
        (BOB_ID, "2")
    );
    for (arguments, reason) in [
        (vec!["reply", "none", "x"], "MESSAGE_UNKNOWN"),
        (vec!["reply", "mine", "x"], "OWN_MESSAGE"),
        (vec!["reply", "--last", "nobody", "x"], "CONTACT_UNKNOWN"),
    ] {
        let run = fake
            .run(&[&["--json"], arguments.as_slice()].concat())
            .await;
        assert_eq!((run.code, run.reason().as_str()), (1, reason));
        assert!(fake.state().sent.is_none());
    }
}

/// Returns an event for a text that replies to the question, whose id in the fake is bob's.
fn reply_of(peer_id: &str, cursor: &str, text: &str) -> Event {
    let mut event = received_from(peer_id, cursor, text);
    if let Some(Kind::MessageReceived(message)) = &mut event.kind {
        message.reply_to = BOB_ID.to_owned();
    }
    event
}

/// Returns an event for a new state of the question.
fn state_of_question(cursor: &str, state: MessageState) -> Event {
    let changed = MessageStateChanged {
        message_id: BOB_ID.to_owned(),
        peer_id: BOB_ID.to_owned(),
        state: state.into(),
        failure: "CONTACT_REMOVED".to_owned(),
    };
    event(cursor, Kind::MessageState(changed))
}

#[tokio::test]
async fn the_first_reply_to_the_question_is_the_answer() {
    let fake = Fake::start().await;
    fake.state().events = vec![
        received("1", "something else"),
        reply_of("m2carol0000000000000", "2", "not asked"),
        reply_of(BOB_ID, "3", "yes\x1b[2J"),
        reply_of(BOB_ID, "4", "no"),
    ];
    let run = fake.run(&["ask", "bob", "shall I?"]).await;
    assert_eq!((run.code, run.stdout.as_str()), (0, "yes[2J\n"));
    let sent = fake.state().sent.take().unwrap();
    assert_eq!(sent.content, Some(Content::Text("shall I?".to_owned())));
    assert_eq!(
        (sent.contact.as_str(), sent.idempotency_key.len()),
        (BOB_ID, 32)
    );
    let asked = fake.state().subscribed.take().unwrap();
    assert_eq!(
        (asked.start_at(), asked.client.as_str()),
        (StartAt::Now, "")
    );
    let run = fake.run(&["--json", "ask", "bob", "shall I?"]).await;
    assert_eq!(run.json()[0]["messageId"], "id-3");
    let any = ["ask", "bob", "--any-reply", "shall I?"];
    assert_eq!(fake.run(&any).await.stdout, "something else\n");
}

#[tokio::test]
async fn without_a_reply_the_code_is_4_and_says_where_the_question_is() {
    let fake = Fake::start().await;
    let ask = ["--json", "ask", "bob", "shall I?", "--timeout", "300ms"];
    for (events, known) in [
        (vec![], "not delivered yet"),
        (
            vec![
                state_of_question("1", MessageState::Delivered),
                received("2", "hm"),
            ],
            "was delivered",
        ),
    ] {
        fake.state().events = events;
        let run = fake.run(&ask).await;
        assert_eq!((run.code, run.reason().as_str()), (4, "TIMED_OUT"));
        assert!(run.stderr.contains(known), "{run:?}");
        assert_eq!(run.stdout, "");
    }
}

#[tokio::test]
async fn a_question_that_is_given_up_has_no_reply() {
    let fake = Fake::start().await;
    fake.state().events = vec![state_of_question("1", MessageState::Failed)];
    let run = fake.run(&["--json", "ask", "bob", "shall I?"]).await;
    assert_eq!((run.code, run.reason().as_str()), (1, "CONTACT_REMOVED"));
    let run = fake.run(&["--json", "ask", "nobody", "shall I?"]).await;
    assert_eq!((run.code, run.reason().as_str()), (1, "CONTACT_UNKNOWN"));
}
