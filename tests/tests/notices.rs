//! Notices: what contacts do at this moment reaches the front-ends that ask for it, and no disk.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use m2_proto::api::v1::notice::Kind;
use m2_proto::api::v1::{
    ListClientsRequest, Notice, SetTypingRequest, StartAt, SubscribeRequest, Typing,
};
use m2_proto::reason::Reason;
use m2_tests::scenario::{Api, Pair, eventually};
use std::time::Duration;

#[tokio::test]
async fn typing_reaches_the_streams_that_ask_for_it_and_no_store() {
    let pair = Pair::start().await.unwrap();
    let (alice, bob) = pair.apis().await.unwrap();
    let alices_id = bob.contact("alice").await.unwrap().peer_id;
    let before = bob.log().await.unwrap().len();
    let mut with = bob.subscribe(from_now(true)).await.unwrap();
    let mut without = bob.subscribe(from_now(false)).await.unwrap();
    for active in [true, false] {
        assert!(set_typing(&alice, active).await);
        let notice = with.next_notice().await.unwrap();
        assert_eq!(notice, typing(&alices_id, active));
    }
    // A message in the same epoch is delivered as usual.
    alice.send("bob", "here it is").await.unwrap();
    bob.await_text("alice", "here it is").await.unwrap();
    let rest = without.rest(Duration::from_secs(1)).await.unwrap();
    assert_eq!(rest.len(), 1, "the message alone: {rest:?}");
    assert_eq!(bob.log().await.unwrap().len(), before + 1);
    assert_eq!(bob.received("alice").await.unwrap().len(), 1);
}

#[tokio::test]
async fn the_command_line_sends_and_prints_notices() {
    let pair = Pair::start().await.unwrap();
    let (alice, bob) = pair.apis().await.unwrap();
    let listen = ["listen", "--notices", "--client", "screen", "--count", "1"];
    let says = async {
        connected(&bob, "screen").await;
        let sent = pair.alice.m2(&["typing", "bob"]).await.unwrap();
        assert_eq!((sent.code, sent.stdout.trim()), (Some(0), "Sent."));
        let stopped = ["--json", "typing", "bob", "--stopped"];
        let stopped = pair.alice.m2(&stopped).await.unwrap().json().unwrap();
        assert_eq!(stopped[0]["sent"], true);
        alice.send("bob", "done").await.unwrap();
    };
    let (printed, ()) = tokio::join!(pair.bob.m2(&listen), says);
    let printed = printed.unwrap().stdout;
    let lines: Vec<&str> = printed.lines().collect();
    assert_eq!(lines[..2], ["alice  types …", "alice  stopped typing"]);
    assert!(lines[2].ends_with("done"), "{lines:?}");
}

#[tokio::test]
async fn a_notice_without_a_session_is_not_sent() {
    let mut pair = Pair::start().await.unwrap();
    let alice = Api::of(&pair.alice).await.unwrap();
    assert!(set_typing(&alice, true).await);
    assert!(pair.bob.stop().await.unwrap().success());
    eventually("the end of the session", async || {
        Ok((!set_typing(&alice, true).await).then_some(()))
    })
    .await
    .unwrap();
    pair.bob.restart().await.unwrap();
    let bob = Api::of(&pair.bob).await.unwrap();
    let mut events = bob.subscribe(from_now(true)).await.unwrap();
    alice.send("bob", "back again").await.unwrap();
    bob.await_text("alice", "back again").await.unwrap();
    let next = events.next().await.unwrap();
    assert!(next.kind.is_some(), "no notice was kept for later");
}

/// The rate limit of the sender: 4 at once, then one in a second.
#[tokio::test]
async fn notices_are_limited() {
    let pair = Pair::start().await.unwrap();
    let alice = Api::of(&pair.alice).await.unwrap();
    let mut sent = 0;
    let start = std::time::Instant::now();
    for _ in 0..50 {
        sent += u64::from(set_typing(&alice, true).await);
    }
    assert!(sent >= 4 && sent <= 5 + start.elapsed().as_secs(), "{sent}");
    let unknown = SetTypingRequest {
        contact: "zoe".to_owned(),
        active: true,
    };
    let refused = alice
        .client()
        .messages()
        .set_typing(unknown)
        .await
        .unwrap_err();
    assert_eq!(Reason::of(&refused), Some(Reason::ContactUnknown));
}

/// Waits until a client of this name has a stream.
async fn connected(api: &Api, name: &str) {
    let is_there = eventually("the stream", async || {
        let request = ListClientsRequest {};
        let clients = api.client().events().list_clients(request).await?;
        let mut clients = clients.into_inner().clients.into_iter();
        let found = clients.any(|client| client.name == name && client.connected);
        Ok(found.then_some(()))
    });
    is_there.await.unwrap();
}

fn from_now(notices: bool) -> SubscribeRequest {
    SubscribeRequest {
        start_at: StartAt::Now.into(),
        notices,
        ..SubscribeRequest::default()
    }
}

fn typing(peer_id: &str, active: bool) -> Notice {
    Notice {
        peer_id: peer_id.to_owned(),
        kind: Some(Kind::Typing(Typing { active })),
    }
}

async fn set_typing(api: &Api, active: bool) -> bool {
    let request = SetTypingRequest {
        contact: "bob".to_owned(),
        active,
    };
    let answer = api.client().messages().set_typing(request).await.unwrap();
    answer.into_inner().sent
}
