//! A connection that fails can be followed in the debug log alone, from the order of the engine to
//! the path that did not answer.

use m2_proto::api::v1::RemoveContactRequest;
use m2_tests::harness::Setup;
use m2_tests::scenario::{Pair, eventually};

async fn pair() -> Pair {
    let alice = Setup::new()
        .identity("alice")
        .tables("[log]\nfilter = \"debug\"\n");
    let pair = Pair::start_as(alice, Setup::new().identity("bob"));
    pair.await.unwrap()
}

/// Returns the name of the only peer in a debug log.
fn peer(log: &str) -> String {
    let up = log.lines().find(|line| line.contains("a session is up"));
    let (_, rest) = up.unwrap().split_once("peer=").unwrap();
    rest.split_whitespace().next().unwrap().to_owned()
}

/// Waits until the log has a line for each of `steps`, in their order, about this peer.
async fn steps(pair: &Pair, peer: &str, after: usize, steps: &[&[&str]]) {
    let followed = async || {
        let log = pair.alice.log();
        let mut lines = log.lines().skip(after);
        let found = |parts: &&[&str]| {
            lines.any(|line| line.contains(peer) && parts.iter().all(|part| line.contains(part)))
        };
        Ok(steps.iter().all(found).then_some(()))
    };
    let result = eventually("the log explains what happened", followed).await;
    assert!(result.is_ok(), "{}", pair.alice.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_does_not_answer() {
    let mut pair = pair().await;
    let (api, _) = pair.apis().await.unwrap();
    let (peer, after) = (peer(&pair.alice.log()), pair.alice.log().lines().count());
    pair.bob.kill9().await.unwrap();
    api.send("bob", "are you there").await.unwrap();
    let expected: [&[&str]; 5] = [
        &["the session is in doubt"],
        &["an order of the engine", "dial it"],
        &["an attempt begins", "addresses=1"],
        &["the path failed", "IPv4 loopback address-", "NO_ANSWER"],
        &["the attempt has ended", "NO_ANSWER", "next_s"],
    ];
    steps(&pair, &peer, after, &expected).await;
    // The name of the peer says nothing outside this log.
    let id = pair.alice.log();
    assert!(!id.contains(&api.contact("bob").await.unwrap().peer_id));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_the_contact_closed() {
    let pair = pair().await;
    let (_, bob) = pair.apis().await.unwrap();
    let (peer, after) = (peer(&pair.alice.log()), pair.alice.log().lines().count());
    let removal = RemoveContactRequest {
        contact: "alice".to_owned(),
        ..RemoveContactRequest::default()
    };
    let removed = bob.client().contacts().remove_contact(removal).await;
    removed.unwrap();
    let expected: [&[&str]; 2] = [
        &["the session is over", "reason"],
        &["an order of the engine", "dial it"],
    ];
    steps(&pair, &peer, after, &expected).await;
    let api = pair.apis().await.unwrap().0;
    api.send("bob", "still there?").await.unwrap();
    let expected: [&[&str]; 1] = [&["the contact refused the session", "NOT_A_CONTACT"]];
    steps(&pair, &peer, after, &expected).await;
}
