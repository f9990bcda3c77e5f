//! Notices: what contacts do at this moment reaches the front-ends that ask for it, and no disk.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use m2_proto::api::v1::notice::Kind;
use m2_proto::api::v1::{
    ListClientsRequest, MessageState, SetTypingRequest, StartAt, SubscribeRequest,
    SubscribeResponse, Typing, event,
};
use m2_proto::reason::Reason;
use m2_tests::scenario::{Api, Pair, eventually};
use std::time::{Duration, UNIX_EPOCH};
use tokio::time::sleep;

/// After this time without an answer, a stream has sent all that it has.
const SILENCE: Duration = Duration::from_secs(1);

#[tokio::test]
async fn typing_reaches_the_streams_that_ask_for_it_and_no_store() {
    let pair = Pair::start().await.unwrap();
    let (alice, bob) = pair.apis().await.unwrap();
    may_send(&alice).await;
    let alices_id = bob.contact("alice").await.unwrap().peer_id;
    let before = bob.log().await.unwrap().len();
    let received = bob.received("alice").await.unwrap().len();
    let mut with = bob.subscribe(from_now(true)).await.unwrap();
    let mut without = bob.subscribe(from_now(false)).await.unwrap();
    for active in [true, false] {
        assert!(set_typing(&alice, active).await);
        let notice = with.next_notice().await.unwrap();
        assert_eq!(notice.peer_id, alices_id);
        assert_eq!(notice.kind, Some(Kind::Typing(Typing { active })));
        let now = UNIX_EPOCH.elapsed().unwrap().as_secs();
        assert!(now.abs_diff(notice.time.unwrap().seconds as u64) < 60);
    }
    // A message in the same epoch is delivered as usual.
    alice.send("bob", "here it is").await.unwrap();
    bob.await_text("alice", "here it is").await.unwrap();
    let rest = without.answers(SILENCE).await.unwrap();
    assert!(
        rest.len() == 1 && rest[0].notice.is_none(),
        "the message alone: {rest:?}"
    );
    assert_eq!(bob.log().await.unwrap().len(), before + 1);
    assert_eq!(bob.received("alice").await.unwrap().len(), received + 1);
}

#[tokio::test]
async fn the_command_line_sends_and_prints_notices() {
    let pair = Pair::start().await.unwrap();
    let (alice, bob) = pair.apis().await.unwrap();
    may_send(&alice).await;
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
    may_send(&alice).await;
    assert!(set_typing(&alice, true).await);
    assert!(pair.bob.stop().await.unwrap().success());
    eventually("the end of the session", async || {
        Ok((!alice.contact("bob").await?.online).then_some(()))
    })
    .await
    .unwrap();
    // The rate limit would allow it.
    sleep(Duration::from_secs(2)).await;
    assert!(!set_typing(&alice, true).await);
    pair.bob.restart().await.unwrap();
    let bob = Api::of(&pair.bob).await.unwrap();
    let mut events = bob.subscribe(from_now(true)).await.unwrap();
    alice.send("bob", "back again").await.unwrap();
    bob.await_text("alice", "back again").await.unwrap();
    let answers = events.answers(SILENCE).await.unwrap();
    assert!(answers.iter().any(is_message), "{answers:?}");
    let was_kept = |answer: &SubscribeResponse| answer.notice.is_some();
    assert!(!answers.iter().any(was_kept), "{answers:?}");
}

/// A front-end clears what a notice says when a message arrives, so a notice must not overtake a message that was sent
/// before it.
#[tokio::test]
async fn a_notice_follows_the_messages_that_were_sent_before_it() {
    let pair = Pair::start().await.unwrap();
    let (alice, bob) = pair.apis().await.unwrap();
    may_send(&alice).await;
    let mut stream = bob.subscribe(from_now(true)).await.unwrap();
    // As many as the rate limit allows at once.
    for _ in 0..4 {
        for text in ["one", "two", "three"] {
            alice.send("bob", text).await.unwrap();
        }
        assert!(set_typing(&alice, true).await);
    }
    let answers = stream.answers(SILENCE).await.unwrap();
    let order: String = answers.iter().filter_map(letter).collect();
    assert_eq!(order, "mmmnmmmnmmmnmmmn");
}

/// Returns m for a message that was received, n for a notice.
fn letter(answer: &SubscribeResponse) -> Option<char> {
    match (is_message(answer), &answer.notice) {
        (true, _) => Some('m'),
        (false, Some(_)) => Some('n'),
        (false, None) => None,
    }
}

fn is_message(answer: &SubscribeResponse) -> bool {
    let kind = answer.event.as_ref().and_then(|event| event.kind.as_ref());
    matches!(kind, Some(event::Kind::MessageReceived(_)))
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

/// Waits until messages, and so notices, may be offered to bob in the session.
async fn may_send(alice: &Api) {
    let first = alice.send("bob", "first").await.unwrap();
    alice
        .await_message(&first, MessageState::Delivered)
        .await
        .unwrap();
}

async fn set_typing(api: &Api, active: bool) -> bool {
    let request = SetTypingRequest {
        contact: "bob".to_owned(),
        active,
    };
    let answer = api.client().messages().set_typing(request).await.unwrap();
    answer.into_inner().sent
}
