//! `m2 ask` and `m2 reply`.

use super::{path, wait_for_client};
use m2_tests::harness::Daemon;
use m2_tests::scenario::{Api, Pair, eventually};
use std::process::Stdio;
use tokio::process::Child;

/// Starts a front-end that runs a script for every event.
async fn answering(daemon: &Daemon, script: &str) -> Child {
    let mut listen = daemon.m2_command().unwrap();
    listen.args([
        "listen",
        "--client",
        "answers",
        "--reconnect",
        "--exec",
        script,
    ]);
    let child = listen.env("PATH", path()).spawn().unwrap();
    wait_for_client(daemon, "answers", true).await;
    child
}

#[tokio::test]
async fn a_command_replies_to_a_question() {
    let pair = Pair::start().await.unwrap();
    let (alice, _) = pair.apis().await.unwrap();
    let script = "[ $M2_EVENT = messageReceived ] || exit 0; \
                  m2 reply \"$M2_MESSAGE_ID\" --key \"$M2_MESSAGE_ID\" \"you asked: $M2_TEXT\"";
    let mut answers = answering(&pair.bob, script).await;
    let asked = pair
        .alice
        .m2(&["ask", "bob", "how are you?"])
        .await
        .unwrap();
    assert_eq!(asked.success().unwrap(), "you asked: how are you?\n");
    let asked = pair
        .alice
        .m2(&["--json", "ask", "bob", "again"])
        .await
        .unwrap();
    let reply = asked.json().unwrap().remove(0);
    assert_eq!(reply["text"], "you asked: again");
    let question = alice
        .message(reply["replyTo"].as_str().unwrap())
        .await
        .unwrap();
    assert_eq!(question.text, "again");
    answers.kill().await.unwrap();
}

#[tokio::test]
async fn waiting_goes_on_while_the_daemon_restarts() {
    let mut pair = Pair::start().await.unwrap();
    let (_, bob) = pair.apis().await.unwrap();
    let mut ask = pair.alice.m2_command().unwrap();
    let ask = ask.args(["ask", "bob", "are you there?", "--timeout", "5m"]);
    let ask = ask.stdout(Stdio::piped()).spawn().unwrap();
    let question = bob.await_text("alice", "are you there?").await.unwrap();
    pair.alice.kill9().await.unwrap();
    let reply = ["reply", "--last", "alice", "I am"];
    pair.bob.m2(&reply).await.unwrap().success().unwrap();
    pair.alice.restart().await.unwrap();
    let output = ask.wait_with_output().await.unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(output.stdout, b"I am\n");
    // The question was sent once.
    assert_eq!(bob.received("alice").await.unwrap(), ["are you there?"]);
    let replies = Api::of(&pair.alice).await.unwrap();
    let replies = replies.conversation("bob").await.unwrap();
    assert_eq!(replies[1].reply_to, question.message_id);
}

#[tokio::test]
async fn only_a_reply_counts_unless_any_is_accepted() {
    let pair = Pair::start().await.unwrap();
    let (_, bob) = pair.apis().await.unwrap();
    for (flag, code, said) in [("--timeout=2s", 4, ""), ("--any-reply", 0, "by the way\n")] {
        let mut ask = pair.alice.m2_command().unwrap();
        let text = format!("question with {flag}");
        ask.args(["ask", "bob", &text, flag]).stdout(Stdio::piped());
        let ask = ask.stderr(Stdio::piped()).spawn().unwrap();
        bob.await_text("alice", &text).await.unwrap();
        bob.send("alice", "by the way").await.unwrap();
        let output = ask.wait_with_output().await.unwrap();
        assert_eq!(output.status.code(), Some(code), "{output:?}");
        assert_eq!(String::from_utf8(output.stdout).unwrap(), said);
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(stderr.contains("The question was delivered."), code == 4);
    }
}

#[tokio::test]
async fn a_reply_to_the_newest_message() {
    let pair = Pair::start().await.unwrap();
    let (alice, bob) = pair.apis().await.unwrap();
    let nothing = pair
        .bob
        .m2(&["--json", "reply", "--last", "alice", "x"])
        .await;
    assert!(nothing.unwrap().stderr.contains("MESSAGE_UNKNOWN"));
    alice.send("bob", "first").await.unwrap();
    let second = alice.send("bob", "second").await.unwrap();
    bob.await_text("alice", "second").await.unwrap();
    let own = bob.send("alice", "my own").await.unwrap();
    let refused = pair.bob.m2(&["--json", "reply", &own, "x"]).await.unwrap();
    assert!(refused.stderr.contains("OWN_MESSAGE"), "{refused:?}");
    let reply = [
        "reply",
        "--last",
        "alice",
        "to the second",
        "--wait",
        "delivered",
    ];
    pair.bob.m2(&reply).await.unwrap().success().unwrap();
    let reply = eventually("the reply", async || {
        let all = alice.conversation("bob").await?.into_iter();
        Ok(all
            .into_iter()
            .find(|message| message.text == "to the second"))
    });
    assert_eq!(reply.await.unwrap().reply_to, second);
}
