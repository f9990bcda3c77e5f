//! Events that reach a stream from memory are the same as those read from the store.

use super::text_of;
use m2_proto::api::v1::event::Kind;
use m2_proto::api::v1::send_message_request::Content;
use m2_proto::api::v1::{MessageState, RetractMessageRequest, SendMessageRequest};
use m2_tests::scenario::{Api, Pair};

fn data(media_type: &str, data: &[u8]) -> SendMessageRequest {
    SendMessageRequest {
        contact: "bob".to_owned(),
        content: Some(Content::Data(data.to_vec())),
        media_type: media_type.to_owned(),
        ..SendMessageRequest::default()
    }
}

#[tokio::test]
async fn a_live_event_equals_the_stored_one() {
    let pair = Pair::start().await.unwrap();
    let (alice, bob) = pair.apis().await.unwrap();
    let mut live = bob.events("live").await.unwrap();
    let texts = [
        Api::text("bob", "words"),
        data("image/png", &[0xff, 0, 1]),
        data("text/html", b"<p>"),
    ];
    for request in texts {
        let id = alice.send_request(request).await.unwrap().message_id;
        let state = MessageState::Delivered;
        alice.await_message(&id, state).await.unwrap();
    }
    let live = live.some(3).await.unwrap();
    let stored = bob.log().await.unwrap();
    assert_eq!(live, stored[stored.len() - 3..]);
}

#[tokio::test]
async fn a_retracted_message_is_not_shown_from_memory() {
    let pair = Pair::start().await.unwrap();
    let (alice, bob) = pair.apis().await.unwrap();
    // A stream that follows, so that messages are kept in memory.
    let mut follower = bob.events("follower").await.unwrap();
    let id = alice.send("bob", "taken back").await.unwrap();
    bob.await_text("alice", "taken back").await.unwrap();
    let seen = follower.some(1).await.unwrap();
    assert_eq!(text_of(&seen[0]), Some("taken back"));
    let retraction = RetractMessageRequest { message_id: id };
    let retracted = alice.client().messages().retract_message(retraction).await;
    retracted.unwrap();
    let retracted = follower.some(1).await.unwrap();
    assert!(matches!(retracted[0].kind, Some(Kind::MessageRetracted(_))));
    let late = bob.log().await.unwrap();
    assert!(
        late.iter()
            .all(|event| text_of(event).is_none_or(str::is_empty)),
        "{late:?}"
    );
}
