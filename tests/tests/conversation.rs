//! Operations on messages: edit, retract, expire, mark as read, search, page through.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use m2_proto::api::v1::event::Kind;
use m2_proto::api::v1::send_message_request::Content;
use m2_proto::api::v1::{
    Direction, EditMessageRequest, MarkReadRequest, Message, MessageState, RetractMessageRequest,
    SendMessageRequest,
};
use m2_proto::reason::Reason;
use m2_tests::scenario::{Api, Pair, eventually};
use pbjson_types::Duration;
use std::time::Instant;

#[tokio::test]
async fn an_edit_replaces_the_text_on_both_sides() {
    let pair = Pair::start().await.unwrap();
    let (alice, bob) = pair.apis().await.unwrap();
    let id = alice.send("bob", "the first wording").await.unwrap();
    bob.await_text("alice", "the first wording").await.unwrap();
    edit(&alice, &id, "the second wording").await;
    let there = bob.await_text("alice", "the second wording").await.unwrap();
    assert!(there.edited);
    assert_eq!(there.message_id, id);
    assert_eq!(bob.received("alice").await.unwrap().len(), 1);
    let here = alice.message(&id).await.unwrap();
    assert_eq!(
        (here.text.as_str(), here.edited),
        ("the second wording", true)
    );
    for api in [&alice, &bob] {
        assert_eq!(found(api, "second").await, 1);
        assert_eq!(found(api, "first").await, 0);
    }
    // Front-ends receive the edit as a separate event with the new text.
    let mut events = bob.all_events().await.unwrap();
    let edited = events.until(|kind| match kind {
        Kind::MessageEdited(edited) => Some(edited.clone()),
        _ => None,
    });
    let edited = edited.await.unwrap();
    assert_eq!(
        (edited.message_id, edited.text.as_str()),
        (id, "the second wording")
    );
}

#[tokio::test]
async fn an_edit_before_delivery_takes_effect() {
    let mut pair = Pair::start().await.unwrap();
    let alice = Api::of(&pair.alice).await.unwrap();
    pair.bob.kill9().await.unwrap();
    let id = alice.send("bob", "hasty").await.unwrap();
    edit(&alice, &id, "considered").await;
    pair.bob.restart().await.unwrap();
    let bob = Api::of(&pair.bob).await.unwrap();
    let there = bob.await_text("alice", "considered").await.unwrap();
    assert_eq!(there.message_id, id);
}

#[tokio::test]
async fn a_retraction_after_delivery_leaves_tombstones() {
    let pair = Pair::start().await.unwrap();
    let (alice, bob) = pair.apis().await.unwrap();
    let id = alice.send("bob", "unfortunate words").await.unwrap();
    alice
        .await_message(&id, MessageState::Delivered)
        .await
        .unwrap();
    assert_eq!(found(&bob, "unfortunate").await, 1);
    retract(&alice, &id).await;
    let there = eventually("the retraction", async || {
        let message = bob.message(&id).await?;
        Ok(message.retracted.then_some(message))
    });
    let there = there.await.unwrap();
    let here = alice.message(&id).await.unwrap();
    for message in [&there, &here] {
        assert!(message.retracted);
        assert_eq!((message.text.as_str(), message.data.len()), ("", 0));
    }
    for api in [&alice, &bob] {
        assert_eq!(found(api, "unfortunate").await, 0);
    }
    assert_eq!(texts(&bob.conversation("alice").await.unwrap()), [""]);
    // A repeated retraction succeeds; an edit of a retracted message does not.
    retract(&alice, &id).await;
    let refused = edit_result(&alice, &id, "again").await.unwrap_err();
    assert_eq!(Reason::of(&refused), Some(Reason::MessageUnknown));
    let mut events = bob.all_events().await.unwrap();
    let retracted = events.until(|kind| match kind {
        Kind::MessageRetracted(retracted) => Some(retracted.message_id.clone()),
        _ => None,
    });
    assert_eq!(retracted.await.unwrap(), id);
}

#[tokio::test]
async fn a_message_retracted_before_delivery_never_arrives() {
    let mut pair = Pair::start().await.unwrap();
    let alice = Api::of(&pair.alice).await.unwrap();
    pair.bob.kill9().await.unwrap();
    alice.send("bob", "one").await.unwrap();
    let id = alice.send("bob", "two").await.unwrap();
    alice.send("bob", "three").await.unwrap();
    retract(&alice, &id).await;
    pair.bob.restart().await.unwrap();
    let bob = Api::of(&pair.bob).await.unwrap();
    bob.await_text("alice", "three").await.unwrap();
    assert_eq!(shown(&bob, "alice").await, ["one", "three"]);
    let here = alice.message(&id).await.unwrap();
    assert!(here.retracted);
    alice.await_empty_outbox().await.unwrap();
    // The event log does not contain the text either.
    let log = bob.log().await.unwrap();
    let told = log.iter().filter(|event| match &event.kind {
        Some(Kind::MessageReceived(received)) => {
            received.message_id == id && !received.text.is_empty()
        }
        _ => false,
    });
    assert_eq!(told.count(), 0);
}

#[tokio::test]
async fn only_the_author_may_retract_or_edit_a_message() {
    let pair = Pair::start().await.unwrap();
    let (alice, bob) = pair.apis().await.unwrap();
    let id = alice.send("bob", "mine").await.unwrap();
    bob.await_text("alice", "mine").await.unwrap();
    let refused = retract_result(&bob, &id).await.unwrap_err();
    assert_eq!(Reason::of(&refused), Some(Reason::NotAuthor));
    let refused = edit_result(&bob, &id, "yours").await.unwrap_err();
    assert_eq!(Reason::of(&refused), Some(Reason::NotAuthor));
    assert_eq!(shown(&bob, "alice").await, ["mine"]);
    assert_eq!(alice.message(&id).await.unwrap().text, "mine");
    let m2 = pair.bob.m2(&["--json", "retract", &id]).await.unwrap();
    assert_eq!(m2.code, Some(1));
    assert!(m2.stderr.contains("NOT_AUTHOR"), "{}", m2.stderr);
}

#[tokio::test]
async fn a_message_expires_on_both_sides() {
    let pair = Pair::start().await.unwrap();
    let (alice, bob) = pair.apis().await.unwrap();
    alice.send("bob", "lasting words").await.unwrap();
    let send = [
        "--json",
        "send",
        "bob",
        "fleeting words",
        "--ttl",
        "2s",
        "--wait",
        "delivered",
    ];
    let sent = pair.alice.m2(&send).await.unwrap().json().unwrap();
    let id = sent.last().unwrap()["messageId"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(bob.message(&id).await.unwrap().expires.is_some());
    for (api, other) in [(&alice, "bob"), (&bob, "alice")] {
        eventually("the message to expire", async || {
            let shown = texts(&api.conversation(other).await?);
            Ok((shown == ["lasting words"]).then_some(()))
        })
        .await
        .unwrap();
        assert_eq!(found(api, "fleeting").await, 0);
        assert_eq!(found(api, "lasting").await, 1);
        assert_eq!(api.message(&id).await.unwrap().text, "");
        let mut events = api.all_events().await.unwrap();
        let expired = events.until(|kind| match kind {
            Kind::MessageExpired(expired) => Some(expired.message_id.clone()),
            _ => None,
        });
        assert_eq!(expired.await.unwrap(), id);
    }
}

#[tokio::test]
async fn a_message_that_expires_before_delivery_never_arrives() {
    let mut pair = Pair::start().await.unwrap();
    let alice = Api::of(&pair.alice).await.unwrap();
    pair.bob.kill9().await.unwrap();
    let mut request = Api::text("bob", "too late");
    request.ttl = Some(seconds(1));
    let id = alice.send_request(request).await.unwrap().message_id;
    alice.send("bob", "still in time").await.unwrap();
    let start = Instant::now();
    alice
        .await_message(&id, MessageState::Expired)
        .await
        .unwrap();
    assert!(start.elapsed() >= std::time::Duration::from_millis(900));
    pair.bob.restart().await.unwrap();
    let bob = Api::of(&pair.bob).await.unwrap();
    bob.await_text("alice", "still in time").await.unwrap();
    assert_eq!(shown(&bob, "alice").await, ["still in time"]);
    assert_eq!(shown(&alice, "bob").await, ["still in time"]);
    alice.await_empty_outbox().await.unwrap();
}

#[tokio::test]
async fn a_time_to_live_survives_a_restart() {
    let mut pair = Pair::start().await.unwrap();
    let (alice, _) = pair.apis().await.unwrap();
    let mut request = Api::text("bob", "fleeting");
    request.ttl = Some(seconds(3));
    let id = alice.send_request(request).await.unwrap().message_id;
    alice
        .await_message(&id, MessageState::Delivered)
        .await
        .unwrap();
    pair.bob.kill9().await.unwrap();
    pair.bob.restart().await.unwrap();
    let bob = Api::of(&pair.bob).await.unwrap();
    eventually("the message to expire", async || {
        Ok(bob.conversation("alice").await?.is_empty().then_some(()))
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn the_author_is_told_that_a_message_was_read() {
    let pair = Pair::start().await.unwrap();
    let (alice, bob) = pair.apis().await.unwrap();
    let id = alice.send("bob", "read me").await.unwrap();
    bob.await_text("alice", "read me").await.unwrap();
    alice
        .await_message(&id, MessageState::Delivered)
        .await
        .unwrap();
    let request = MarkReadRequest {
        message_ids: vec![id.clone()],
    };
    bob.client()
        .messages()
        .mark_read(request.clone())
        .await
        .unwrap();
    alice.await_message(&id, MessageState::Read).await.unwrap();
    assert_eq!(bob.message(&id).await.unwrap().state(), MessageState::Read);
    // Marking a message twice is fine. Its author cannot mark it.
    bob.client()
        .messages()
        .mark_read(request.clone())
        .await
        .unwrap();
    let refused = alice
        .client()
        .messages()
        .mark_read(request)
        .await
        .unwrap_err();
    assert_eq!(Reason::of(&refused), Some(Reason::MessageUnknown));
    // A watch that begins late reports the final state at once.
    let watch = pair
        .alice
        .m2(&["--json", "watch", &id])
        .await
        .unwrap()
        .json()
        .unwrap();
    assert_eq!(watch.last().unwrap()["state"], "MESSAGE_STATE_READ");
}

#[tokio::test]
async fn history_is_returned_in_pages() {
    let pair = Pair::start().await.unwrap();
    let (alice, bob) = pair.apis().await.unwrap();
    let expected: Vec<String> = (0..23).map(|number| format!("page {number}")).collect();
    for text in &expected {
        alice.send("bob", text).await.unwrap();
    }
    bob.await_text("alice", "page 22").await.unwrap();
    for (api, other) in [(&alice, "bob"), (&bob, "alice")] {
        let mut pages = Vec::new();
        let mut before = String::new();
        loop {
            let page = api.page(other, 10, &before).await.unwrap();
            let Some(last) = page.last() else { break };
            before = last.cursor.clone();
            assert!(page.len() <= 10);
            pages.extend(texts(&page));
        }
        pages.reverse();
        assert_eq!(pages, expected);
    }
    let history = ["--json", "history", "alice", "--limit", "5"];
    let history = pair.bob.m2(&history).await.unwrap().json().unwrap();
    assert_eq!(history.len(), 5);
    let newest = |value: &serde_json::Value| value["text"] == "page 22";
    assert!(history.iter().any(newest), "{history:?}");
}

#[tokio::test]
async fn bytes_and_text_in_any_script_arrive_unchanged() {
    let pair = Pair::start().await.unwrap();
    let (alice, bob) = pair.apis().await.unwrap();
    let data: Vec<u8> = (0..=255).cycle().take(48 * 1_024).collect();
    let request = SendMessageRequest {
        contact: "bob".to_owned(),
        content: Some(Content::Data(data.clone())),
        media_type: "application/x-m2-test".to_owned(),
        ..Default::default()
    };
    let id = alice.send_request(request).await.unwrap().message_id;
    alice
        .await_message(&id, MessageState::Delivered)
        .await
        .unwrap();
    let there = bob.message(&id).await.unwrap();
    assert_eq!(there.media_type, "application/x-m2-test");
    assert!(there.data == data);
    assert!(there.text.is_empty());
    // Text in any script arrives unchanged too.
    let text = "Grüße, 世界! 👋🏽 \u{202e}abc\u{0}";
    let id = alice.send("bob", text).await.unwrap();
    alice
        .await_message(&id, MessageState::Delivered)
        .await
        .unwrap();
    assert_eq!(bob.message(&id).await.unwrap().text, text);
}

#[tokio::test]
async fn replies_threads_and_reactions_reach_both_sides() {
    let pair = Pair::start().await.unwrap();
    let (alice, bob) = pair.apis().await.unwrap();
    let first = alice.send("bob", "who has the keys?").await.unwrap();
    bob.await_text("alice", "who has the keys?").await.unwrap();
    let reply = [
        "--json",
        "send",
        "alice",
        "I do",
        "--reply-to",
        &first,
        "--thread",
        &first,
    ];
    let sent = pair.bob.m2(&reply).await.unwrap().json().unwrap();
    let reply = sent[0]["messageId"].as_str().unwrap().to_owned();
    alice.await_text("bob", "I do").await.unwrap();
    for api in [&alice, &bob] {
        let shown = api.message(&reply).await.unwrap();
        assert_eq!((&shown.reply_to, &shown.thread), (&first, &first));
    }
    pair.alice.m2(&["react", &reply, "👍🏽"]).await.unwrap();
    let (mine, yours) = (Direction::Sent, Direction::Received);
    shows_reactions(&bob, &reply, &[(yours, "👍🏽")]).await;
    shows_reactions(&alice, &reply, &[(mine, "👍🏽")]).await;
    pair.bob.m2(&["react", &reply, "🎉"]).await.unwrap();
    shows_reactions(&alice, &reply, &[(mine, "👍🏽"), (yours, "🎉")]).await;
    pair.alice.m2(&["react", &reply, "--remove"]).await.unwrap();
    shows_reactions(&bob, &reply, &[(mine, "🎉")]).await;
    // What a message refers to must be in its conversation.
    let unknown = "ab".repeat(16);
    let refused = ["--json", "send", "alice", "x", "--reply-to", &unknown];
    let refused = pair.bob.m2(&refused).await.unwrap();
    assert!(refused.stderr.contains("MESSAGE_UNKNOWN"), "{refused:?}");
    // Reactions end with their message.
    retract(&bob, &reply).await;
    shows_reactions(&alice, &reply, &[]).await;
    // A thread goes on when its first message is gone.
    retract(&alice, &first).await;
    let more = ["send", "bob", "found them", "--thread", &first];
    assert_eq!(pair.alice.m2(&more).await.unwrap().code, Some(0));
    bob.await_text("alice", "found them").await.unwrap();
}

/// Waits until a message has these reactions.
async fn shows_reactions(api: &Api, id: &str, expected: &[(Direction, &str)]) {
    let shown = eventually("the reactions", async || {
        let message = api.message(id).await?;
        let all = message.reactions.iter();
        let all: Vec<_> = all
            .map(|one| (one.direction(), one.text.as_str()))
            .collect();
        Ok((all == expected).then_some(()))
    });
    shown.await.unwrap();
}

#[tokio::test]
async fn a_restarted_daemon_keeps_its_port() {
    let mut pair = Pair::start().await.unwrap();
    let before = pair.alice.udp_address().await.unwrap();
    assert!(pair.alice.stop().await.unwrap().success());
    let bob = Api::of(&pair.bob).await.unwrap();
    let id = bob.send("alice", "while you were away").await.unwrap();
    pair.alice.restart().await.unwrap();
    assert_eq!(pair.alice.udp_address().await.unwrap(), before);
    bob.await_message(&id, MessageState::Delivered)
        .await
        .unwrap();
}

async fn edit(api: &Api, id: &str, text: &str) {
    edit_result(api, id, text).await.unwrap();
}

async fn edit_result(api: &Api, id: &str, text: &str) -> Result<(), tonic::Status> {
    let request = EditMessageRequest {
        message_id: id.to_owned(),
        text: text.to_owned(),
    };
    api.client()
        .messages()
        .edit_message(request)
        .await
        .map(|_| ())
}

async fn retract(api: &Api, id: &str) {
    retract_result(api, id).await.unwrap();
}

async fn retract_result(api: &Api, id: &str) -> Result<(), tonic::Status> {
    let message_id = id.to_owned();
    let request = RetractMessageRequest { message_id };
    let answer = api.client().messages().retract_message(request).await;
    answer.map(|_| ())
}

/// The number of messages that a search finds.
async fn found(api: &Api, words: &str) -> usize {
    api.search(words).await.unwrap().len()
}

/// The texts of a conversation that are not deleted, oldest first.
async fn shown(api: &Api, contact: &str) -> Vec<String> {
    let mut shown = texts(&api.conversation(contact).await.unwrap());
    shown.retain(|text| !text.is_empty());
    shown
}

fn texts(messages: &[Message]) -> Vec<String> {
    messages
        .iter()
        .map(|message| message.text.clone())
        .collect()
}

fn seconds(seconds: i64) -> Duration {
    Duration { seconds, nanos: 0 }
}
