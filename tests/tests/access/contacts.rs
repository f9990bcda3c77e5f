//! Tokens that are limited to contacts.

use super::{create, reason, with};
use m2_proto::api::v1::event::Kind;
use m2_proto::api::v1::{
    AccessScope, ContactState, EditMessageRequest, GetContactRequest, MarkReadRequest,
    ReactRequest, RetractMessageRequest, SearchMessagesRequest, SetTypingRequest,
    WatchMessageRequest,
};
use m2_proto::reason::Reason;
use m2_tests::harness::{Daemon, Setup};
use m2_tests::scenario::{Api, Pair, befriend};
use std::time::Duration;

const ALL: [AccessScope; 3] = [AccessScope::Events, AccessScope::Send, AccessScope::History];

/// Alice with two contacts, and a token of hers that reaches only bob.
struct Scene {
    pair: Pair,
    _carol: Daemon,
    alice: Api,
    limited: Api,
    carol_api: Api,
}

async fn scene() -> Scene {
    let pair = Pair::start().await.unwrap();
    let carol = Daemon::start(Setup::new().identity("carol")).await.unwrap();
    befriend((&pair.alice, "alice"), (&carol, "carol"))
        .await
        .unwrap();
    let alice = Api::of(&pair.alice).await.unwrap();
    let token = create(&alice, "bot", &ALL, &["bob"]).await.unwrap();
    let carol_api = Api::of(&carol).await.unwrap();
    Scene {
        limited: with(&alice, &token),
        pair,
        _carol: carol,
        alice,
        carol_api,
    }
}

#[tokio::test]
async fn messages_go_to_the_named_contacts_only() {
    let scene = scene().await;
    let id = scene.limited.send("bob", "backup done").await.unwrap();
    scene.limited.message(&id).await.unwrap();
    // A contact that exists and one that does not are refused alike.
    let refused = [
        scene.limited.send("carol", "hello").await.unwrap_err(),
        scene.limited.send("dave", "hello").await.unwrap_err(),
        scene.limited.send("b", "hello").await.unwrap_err(),
    ];
    for status in &refused {
        assert_eq!(Reason::of(status), Some(Reason::NotAllowed));
        assert_eq!(status.message(), refused[0].message());
    }
    let carol = scene.alice.contact("carol").await.unwrap();
    let by_id = scene.limited.send(&carol.peer_id, "hello").await;
    assert_eq!(reason(by_id), Some(Reason::NotAllowed));
    assert!(scene.carol_api.received("alice").await.unwrap().is_empty());
    let typing = SetTypingRequest {
        contact: "carol".to_owned(),
        active: true,
    };
    let typing = scene.limited.client().messages().set_typing(typing).await;
    assert_eq!(reason(typing), Some(Reason::NotAllowed));
}

#[tokio::test]
async fn messages_of_other_contacts_do_not_exist() {
    let scene = scene().await;
    let own = scene.alice.send("carol", "secret").await.unwrap();
    scene.carol_api.send("alice", "answer").await.unwrap();
    let theirs = scene.alice.await_text("carol", "answer").await.unwrap();
    let mut messages = scene.limited.client().messages();
    for id in [own, theirs.message_id] {
        assert_eq!(
            reason(scene.limited.message(&id).await),
            Some(Reason::MessageUnknown)
        );
        let message_id = id.clone();
        let watched = messages.watch_message(WatchMessageRequest { message_id });
        assert_eq!(reason(watched.await), Some(Reason::MessageUnknown));
        let edit = EditMessageRequest {
            message_id: id.clone(),
            text: "changed".to_owned(),
        };
        let edited = messages.edit_message(edit).await;
        assert_eq!(reason(edited), Some(Reason::MessageUnknown));
        let message_id = id.clone();
        let retracted = messages.retract_message(RetractMessageRequest { message_id });
        assert_eq!(reason(retracted.await), Some(Reason::MessageUnknown));
        let react = ReactRequest {
            message_id: id.clone(),
            text: "👍".to_owned(),
        };
        let reacted = messages.react(react).await;
        assert_eq!(reason(reacted), Some(Reason::MessageUnknown));
        let message_ids = vec![id];
        let read = messages.mark_read(MarkReadRequest { message_ids }).await;
        assert_eq!(reason(read), Some(Reason::MessageUnknown));
    }
    let history = scene.limited.conversation("carol").await;
    assert_eq!(reason(history), Some(Reason::NotAllowed));
    let mut search = SearchMessagesRequest {
        text: "secret".to_owned(),
        ..Default::default()
    };
    for contact in ["", "carol", "dave"] {
        search.contact = contact.to_owned();
        let found = messages.search_messages(search.clone()).await;
        assert_eq!(reason(found), Some(Reason::NotAllowed), "{contact:?}");
    }
    search.contact = "bob".to_owned();
    let found = messages.search_messages(search).await.unwrap().into_inner();
    assert!(found.messages.is_empty());
    let texts = scene.alice.conversation("carol").await.unwrap();
    assert!(texts.iter().any(|message| message.text == "secret"));
}

#[tokio::test]
async fn events_and_lists_name_the_contacts_of_the_token_only() {
    let scene = scene().await;
    let bob = Api::of(&scene.pair.bob).await.unwrap();
    let mut events = scene.limited.events_from_start("bot").await.unwrap();
    scene.carol_api.send("alice", "from carol").await.unwrap();
    scene.alice.await_text("carol", "from carol").await.unwrap();
    bob.send("alice", "from bob").await.unwrap();
    let carol = scene.alice.contact("carol").await.unwrap();
    let mut texts = Vec::new();
    let silence = Duration::from_secs(1);
    events
        .until(|kind| {
            let Kind::MessageReceived(message) = kind else {
                return None;
            };
            assert_ne!(message.peer_id, carol.peer_id);
            texts.push(message.text.clone());
            (message.text == "from bob").then_some(())
        })
        .await
        .unwrap();
    assert_eq!(texts, ["from bob"]);
    let rest = events.rest(silence).await.unwrap();
    assert!(!format!("{rest:?}").contains("carol"), "{rest:?}");

    let listed = scene.limited.contacts(ContactState::Unspecified).await;
    let listed = listed.unwrap();
    let names: Vec<&str> = listed.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(names, ["bob"]);
    assert!(listed[0].addresses.is_empty(), "a bot needs no addresses");
    let request = GetContactRequest {
        contact: "carol".to_owned(),
    };
    let got = scene.limited.client().contacts().get_contact(request).await;
    assert_eq!(reason(got), Some(Reason::NotAllowed));
}
