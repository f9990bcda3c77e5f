//! A pair of daemons for invalid input. The input must leave no trace.

use m2_proto::reason::Reason;
use m2_tests::scenario::{Api, Pair};
use std::process::Stdio;
use tokio::io::AsyncWriteExt as _;
use tonic::Status;

/// A pair whose second daemon is down while the first receives invalid input.
pub(super) struct Scene {
    pub(super) pair: Pair,
    pub(super) alice: Api,
    pub(super) bob_id: String,
}

impl Scene {
    pub(super) async fn begin() -> Self {
        let mut pair = Pair::start().await.unwrap();
        let alice = Api::of(&pair.alice).await.unwrap();
        let bob_id = alice.contact("bob").await.unwrap().peer_id;
        pair.bob.kill9().await.unwrap();
        alice.send("bob", "before").await.unwrap();
        Self {
            pair,
            alice,
            bob_id,
        }
    }

    /// Asserts that only the messages sent before and after the invalid input arrive.
    pub(super) async fn end(mut self) {
        self.alice.send("bob", "after").await.unwrap();
        let own = self.alice.conversation("bob").await.unwrap();
        let own: Vec<&str> = own.iter().map(|message| message.text.as_str()).collect();
        assert_eq!(own, ["before", "after"]);
        self.pair.bob.restart().await.unwrap();
        let bob = Api::of(&self.pair.bob).await.unwrap();
        bob.await_text("alice", "after").await.unwrap();
        assert_eq!(bob.received("alice").await.unwrap(), ["before", "after"]);
        self.alice.await_empty_outbox().await.unwrap();
    }
}

/// Asserts that the call failed with this reason.
#[track_caller]
pub(super) fn refused<T: std::fmt::Debug>(answer: Result<T, Status>, reason: Reason) {
    let status = answer.unwrap_err();
    assert_eq!(Reason::of(&status), Some(reason), "{status}");
    assert_eq!(status.code(), reason.code());
    assert!(!status.message().is_empty());
}

/// Runs `m2` with this input. Returns the exit code and the standard error.
pub(super) async fn piped(pair: &Pair, arguments: &[&str], input: &[u8]) -> (Option<i32>, String) {
    let mut command = pair.alice.m2_command().unwrap();
    command.args(arguments).stdin(Stdio::piped());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // `m2` may stop reading once it has seen enough.
    let _ = stdin.write_all(input).await;
    drop(stdin);
    let output = child.wait_with_output().await.unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code(), complaint)
}
