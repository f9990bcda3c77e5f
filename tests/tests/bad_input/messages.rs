//! Invalid messages and requests.

use super::raw;
use super::scene::{Scene, piped, refused};
use m2_proto::api::v1::send_message_request::Content;
use m2_proto::api::v1::send_messages_response::Result as Outcome;
use m2_proto::api::v1::*;
use m2_proto::reason::Reason;
use m2_tests::harness::Setup;
use m2_tests::scenario::{Api, Pair};
use pbjson_types::Duration;

/// The largest text, in bytes.
const LARGEST: usize = 48 * 1_024;
const UNKNOWN_ID: &str = "00112233445566778899aabbccddeeff";

#[tokio::test]
async fn messages_that_are_too_large_are_refused() {
    let scene = Scene::begin().await;
    let alice = &scene.alice;
    let text = |length| Api::text("bob", &"x".repeat(length));
    let data = SendMessageRequest {
        content: Some(Content::Data(vec![0; LARGEST + 1])),
        ..Api::text("bob", "")
    };
    for request in [text(LARGEST + 1), text(2 * LARGEST), data] {
        refused(alice.send_request(request).await, Reason::MessageTooLarge);
    }
    // Far beyond the size limit of a call: refused before the request is decoded.
    let mut service = alice.client().messages();
    service = service.max_encoding_message_size(64 << 20);
    let huge = service.send_message(text(10 << 20)).await;
    refused(huge, Reason::InvalidArgument);
    for length in [LARGEST + 1, 10 << 20] {
        let sent = piped(&scene.pair, &["--json", "send", "bob"], &vec![b'x'; length]).await;
        assert_eq!(sent.0, Some(1));
        assert!(sent.1.contains("MESSAGE_TOO_LARGE"), "{}", sent.1);
    }
    scene.end().await;
}

#[tokio::test]
async fn the_largest_message_is_delivered() {
    let pair = Pair::start().await.unwrap();
    let (alice, bob) = pair.apis().await.unwrap();
    let text = "€".repeat(LARGEST / 3);
    alice.send("bob", &text).await.unwrap();
    bob.await_text("alice", &text).await.unwrap();
}

#[tokio::test]
async fn text_that_is_not_utf8_is_refused() {
    let scene = Scene::begin().await;
    let broken = [b'a', 0xff, 0xfe, b'b'];
    let sent = piped(&scene.pair, &["--json", "send", "bob"], &broken).await;
    assert_eq!(sent.0, Some(2), "{}", sent.1);
    assert!(sent.1.contains("--type"), "{}", sent.1);
    // Also on the wire: field 2 of SendMessageRequest is a string, but its bytes are not UTF-8.
    let mut request = vec![0x0a, 3, b'b', b'o', b'b', 0x12, 4];
    request.extend(broken);
    let answer = raw::call(&scene.alice, request).await;
    refused(answer, Reason::InvalidArgument);
    scene.end().await;
}

#[tokio::test]
async fn out_of_range_requests_are_refused() {
    let scene = Scene::begin().await;
    let alice = &scene.alice;
    let ttl = |seconds, nanos| SendMessageRequest {
        ttl: Some(Duration { seconds, nanos }),
        ..Api::text("bob", "x")
    };
    let year = 365 * 86_400;
    let wrong = [
        ttl(0, 0),
        ttl(0, 999_000_000),
        ttl(-1, 0),
        ttl(5, -1),
        ttl(year + 1, 0),
        ttl(i64::MAX, 0),
        SendMessageRequest {
            content: None,
            ..Api::text("bob", "")
        },
        SendMessageRequest {
            media_type: "text/html".to_owned(),
            ..Api::text("bob", "x")
        },
        SendMessageRequest {
            content: Some(Content::Data(vec![1])),
            media_type: "x".repeat(128),
            ..Api::text("bob", "")
        },
        SendMessageRequest {
            idempotency_key: "k".repeat(129),
            ..Api::text("bob", "x")
        },
    ];
    for request in wrong {
        let what = format!("{request:?}");
        let answer = alice.send_request(request).await;
        let status = answer.expect_err(&what);
        assert_eq!(Reason::of(&status), Some(Reason::InvalidArgument), "{what}");
    }
    let send = ["--json", "send", "bob", "x", "--ttl", "366d"];
    let sent = scene.pair.alice.m2(&send).await.unwrap();
    assert!(matches!(sent.code, Some(1 | 2)), "{:?}", sent.code);

    refused(alice.page("bob", 1_001, "").await, Reason::InvalidArgument);
    refused(alice.page("bob", 1, "nowhere").await, Reason::CursorInvalid);
    for valid_for in [
        Duration {
            seconds: 59,
            nanos: 0,
        },
        Duration {
            seconds: year + 1,
            nanos: 0,
        },
    ] {
        let request = CreateInvitationRequest {
            valid_for: Some(valid_for),
            ..Default::default()
        };
        let made = alice
            .client()
            .invitations()
            .create_invitation(request)
            .await;
        refused(made, Reason::InvalidArgument);
    }
    for message_ids in [vec![], vec![UNKNOWN_ID.to_owned(); 257]] {
        let request = MarkReadRequest { message_ids };
        let marked = alice.client().messages().mark_read(request).await;
        refused(marked, Reason::InvalidArgument);
    }
    for client in ["Desk", "a b", "ä", &"x".repeat(65), "../x"] {
        refused(alice.events(client).await, Reason::InvalidArgument);
    }
    refused(alice.acknowledge("", "0-0").await, Reason::InvalidArgument);
    scene.end().await;
}

#[tokio::test]
async fn requests_for_unknown_messages_are_refused() {
    let scene = Scene::begin().await;
    let alice = &scene.alice;
    for id in [
        "",
        "x",
        "zz",
        UNKNOWN_ID,
        &UNKNOWN_ID[1..],
        &UNKNOWN_ID.repeat(2),
    ] {
        let message_id = id.to_owned();
        let mut service = alice.client().messages();
        refused(alice.message(id).await, Reason::MessageUnknown);
        let request = RetractMessageRequest {
            message_id: message_id.clone(),
        };
        refused(
            service.retract_message(request).await,
            Reason::MessageUnknown,
        );
        let request = EditMessageRequest {
            message_id: message_id.clone(),
            text: "x".to_owned(),
        };
        refused(service.edit_message(request).await, Reason::MessageUnknown);
        let request = WatchMessageRequest {
            message_id: message_id.clone(),
        };
        refused(service.watch_message(request).await, Reason::MessageUnknown);
        let request = MarkReadRequest {
            message_ids: vec![message_id],
        };
        refused(service.mark_read(request).await, Reason::MessageUnknown);
    }
    let own = alice.conversation("bob").await.unwrap();
    let request = EditMessageRequest {
        message_id: own[0].message_id.clone(),
        text: "x".repeat(LARGEST + 1),
    };
    let edited = alice.client().messages().edit_message(request).await;
    refused(edited, Reason::MessageTooLarge);
    scene.end().await;
}

#[tokio::test]
async fn an_idempotency_key_identifies_one_message() {
    let pair = Pair::start().await.unwrap();
    let (alice, bob) = pair.apis().await.unwrap();
    let keyed = |text: &str| SendMessageRequest {
        idempotency_key: "order 17".to_owned(),
        ..Api::text("bob", text)
    };
    let first = alice.send_request(keyed("once")).await.unwrap();
    let second = alice.send_request(keyed("once")).await.unwrap();
    assert_eq!(first.message_id, second.message_id);
    refused(alice.send_request(keyed("other")).await, Reason::KeyReused);
    let ttl = SendMessageRequest {
        ttl: Some(Duration {
            seconds: 60,
            nanos: 0,
        }),
        ..keyed("once")
    };
    refused(alice.send_request(ttl).await, Reason::KeyReused);
    // A repeated request returns the message's current state. A key of the maximum length is accepted.
    alice
        .await_message(&first.message_id, MessageState::Delivered)
        .await
        .unwrap();
    let third = alice.send_request(keyed("once")).await.unwrap();
    assert_eq!(third.message_id, first.message_id);
    assert_eq!(third.state(), MessageState::Delivered);
    let longest = SendMessageRequest {
        idempotency_key: "k".repeat(128),
        ..Api::text("bob", "last")
    };
    alice.send_request(longest).await.unwrap();
    bob.await_text("alice", "last").await.unwrap();
    assert_eq!(bob.received("alice").await.unwrap(), ["once", "last"]);
}

#[tokio::test]
async fn a_bad_message_does_not_end_a_stream() {
    let scene = Scene::begin().await;
    let requests = [
        Api::text("nobody", "x"),
        Api::text("bob", &"x".repeat(LARGEST + 1)),
        Api::text("bob", "in between"),
        Api::text("", ""),
    ];
    let requests = requests.map(|message| SendMessagesRequest {
        message: Some(message),
    });
    let requests = requests.into_iter().chain([SendMessagesRequest::default()]);
    let stream = tokio_stream::iter(requests.collect::<Vec<_>>());
    let answers = scene.alice.client().messages().send_messages(stream).await;
    let mut answers = answers.unwrap().into_inner();
    let mut outcomes = Vec::new();
    while let Some(answer) = answers.message().await.unwrap() {
        outcomes.push(match answer.result.unwrap() {
            Outcome::Sent(sent) => {
                // Retracted, so that the scene ends with the expected messages.
                let message_id = sent.message_id;
                let request = RetractMessageRequest { message_id };
                let mut service = scene.alice.client().messages();
                service.retract_message(request).await.unwrap();
                "SENT".to_owned()
            }
            Outcome::Error(error) => error.reason,
        });
    }
    let expected = [
        "CONTACT_UNKNOWN",
        "MESSAGE_TOO_LARGE",
        "SENT",
        "CONTACT_UNKNOWN",
        "INVALID_ARGUMENT",
    ];
    assert_eq!(outcomes, expected);
}

#[tokio::test]
async fn search_words_are_never_parsed_as_syntax() {
    let scene = Scene::begin().await;
    let alice = &scene.alice;
    let strange = [
        "\"",
        "'",
        "*",
        "be*",
        "before OR after",
        "NOT x",
        "NEAR(a b)",
        "text:before",
        "(",
        "a AND",
        "-",
        "^before",
        "{x}",
        "\u{0}",
        "; DROP TABLE messages",
        "before\"",
        "\"\"\"",
    ];
    for words in strange {
        let found = alice.search(words).await.unwrap();
        assert!(found.len() <= 1, "{words}");
    }
    assert_eq!(alice.search("before").await.unwrap().len(), 1);
    assert_eq!(alice.search("BEFORE").await.unwrap().len(), 1);
    refused(
        alice.search(&"x ".repeat(1_000)).await,
        Reason::InvalidArgument,
    );
    scene.end().await;
}

#[tokio::test]
async fn a_full_outbox_refuses_messages_until_it_drains() {
    let tables = "[store]\nmax_outbox = 5";
    let alice = Setup::new().identity("alice").tables(tables);
    let bob = Setup::new().identity("bob");
    let mut pair = Pair::start_as(alice, bob).await.unwrap();
    let alice = Api::of(&pair.alice).await.unwrap();
    pair.bob.kill9().await.unwrap();
    let texts = ["1", "2", "3", "4", "5"];
    for text in texts {
        alice.send("bob", text).await.unwrap();
    }
    refused(alice.send("bob", "6").await, Reason::OutboxFull);
    let contact = alice.contact("bob").await.unwrap();
    assert_eq!(contact.queued_messages, 5);
    pair.bob.restart().await.unwrap();
    let bob = Api::of(&pair.bob).await.unwrap();
    bob.await_text("alice", "5").await.unwrap();
    alice.await_empty_outbox().await.unwrap();
    alice.send("bob", "7").await.unwrap();
    bob.await_text("alice", "7").await.unwrap();
    let expected = ["1", "2", "3", "4", "5", "7"];
    assert_eq!(bob.received("alice").await.unwrap(), expected);
}
