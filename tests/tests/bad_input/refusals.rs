//! The content of refusals. A refused call has no side effects.

use super::contacts::good_invitation;
use super::scene::{Scene, piped, refused};
use m2_proto::api::v1::send_message_request::Content;
use m2_proto::api::v1::*;
use m2_proto::reason::{Reason, metadata_of};
use m2_tests::scenario::{Api, Pair, eventually};
use pbjson_types::Duration;
use tonic::Status;

const UNKNOWN_ID: &str = "00112233445566778899aabbccddeeff";

/// An unknown value from a later version must not be treated as a laxer value of this version.
#[tokio::test]
async fn enum_values_of_a_later_version_are_refused() {
    let scene = Scene::begin().await;
    let alice = &scene.alice;
    let policy = |ip| SetContactPolicyRequest {
        contact: "bob".to_owned(),
        ip: Some(ip),
        ..Default::default()
    };
    let mut contacts = alice.client().contacts();
    let line_only = policy(IpMode::LineOnly.into());
    contacts.set_contact_policy(line_only).await.unwrap();
    let answer = contacts.set_contact_policy(policy(42)).await;
    about(answer, "ip");
    let bob = alice.contact("bob").await.unwrap();
    assert_eq!(bob.policy.unwrap().ip(), IpMode::LineOnly);
    let direct = policy(IpMode::Unspecified.into());
    contacts.set_contact_policy(direct).await.unwrap();

    let answer = contacts
        .list_contacts(ListContactsRequest {
            state: 99,
            ..Default::default()
        })
        .await;
    about(answer, "state");
    let request = SubscribeRequest {
        start_at: 77,
        ..Default::default()
    };
    about(alice.client().events().subscribe(request).await, "start_at");
    scene.end().await;
}

#[tokio::test]
async fn an_invalid_argument_names_its_field_and_limit() {
    let scene = Scene::begin().await;
    let alice = &scene.alice;
    let base = || Api::text("bob", "x");
    let data = |media_type: &str| SendMessageRequest {
        content: Some(Content::Data(vec![1])),
        media_type: media_type.to_owned(),
        ..base()
    };
    let ttl = |seconds, nanos| SendMessageRequest {
        ttl: Some(Duration { seconds, nanos }),
        ..base()
    };
    let no_content = SendMessageRequest {
        content: None,
        ..base()
    };
    let key = SendMessageRequest {
        idempotency_key: "k".repeat(129),
        ..base()
    };
    let wrong = [
        ("ttl", ttl(0, 0)),
        ("ttl", ttl(5, 2_000_000_000)),
        ("media_type", data("rubbish")),
        ("media_type", data("text/plain\n")),
        ("media_type", data("a/b;\0")),
        ("media_type", data(&format!("a/{}", "b".repeat(126)))),
        ("idempotency_key", key),
        ("content", no_content),
    ];
    for (field, request) in wrong {
        let metadata = about(alice.send_request(request).await, field);
        assert!(metadata.iter().any(|(key, _)| key == "limit"), "{field}");
    }
    about(alice.page("bob", 1_001, "").await, "limit");
    about(alice.search(&"w".repeat(1_025)).await, "text");
    let sent = piped(&scene.pair, &["--json", "send", "bob", "--type", "x"], b"1").await;
    assert!(sent.1.contains(r#""field":"media_type""#), "{}", sent.1);
    scene.end().await;
}

#[tokio::test]
async fn a_wrong_id_among_good_ones_marks_nothing_as_read() {
    let pair = Pair::start().await.unwrap();
    let (alice, bob) = pair.apis().await.unwrap();
    let id = alice.send("bob", "did you read this?").await.unwrap();
    bob.await_text("alice", "did you read this?").await.unwrap();
    let read = |ids: &[&str]| MarkReadRequest {
        message_ids: ids.iter().map(ToString::to_string).collect(),
    };
    let mut messages = bob.client().messages();
    let answer = messages.mark_read(read(&[&id, UNKNOWN_ID])).await;
    refused(answer, Reason::MessageUnknown);
    messages.mark_read(read(&[&id])).await.unwrap();
    alice.await_message(&id, MessageState::Read).await.unwrap();
    let half_done = counter(&bob, "REQUEST_HALF_DONE").await;
    assert_eq!(half_done, 0);
}

#[tokio::test]
async fn a_name_that_is_taken_leaves_no_contact_behind() {
    let scene = Scene::begin().await;
    let alice = &scene.alice;
    let invitation = good_invitation();
    refused(alice.add(&invitation, "bob").await, Reason::NameTaken);
    let known = alice.contacts(ContactState::Unspecified).await.unwrap();
    assert_eq!(known.len(), 1, "{known:?}");
    assert_eq!(counter(alice, "REQUEST_HALF_DONE").await, 0);
    scene.end().await;
}

#[tokio::test]
async fn names_that_look_alike_or_hide_characters_are_refused() {
    let scene = Scene::begin().await;
    let alice = &scene.alice;
    let invitation = good_invitation();
    alice.add(&invitation, "carol").await.unwrap();
    let rename = async |name: &str| {
        let request = RenameContactRequest {
            contact: "carol".to_owned(),
            name: name.to_owned(),
        };
        alice.client().contacts().rename_contact(request).await
    };
    for alike in ["BOB", "b\u{43e}b", "bo\u{0184}"] {
        refused(rename(alike).await, Reason::NameTaken);
    }
    for hidden in [
        "bob\u{200b}",
        "b\u{ad}ob",
        "\u{3164}",
        "bob\u{fe0f}",
        "\u{a0}bob",
    ] {
        about(rename(hidden).await, "name");
    }
    rename("caroline").await.unwrap();
    scene.end().await;
}

/// Mail programs wrap long lines, and other users can read the arguments of a command.
#[tokio::test]
async fn an_invitation_may_be_wrapped_and_read_from_stdin() {
    let scene = Scene::begin().await;
    let alice = &scene.alice;
    let invitation = good_invitation();
    let (head, tail) = invitation.split_at(40);
    let broken = format!("  {head}\r\n{tail}\n");
    let add = ["contact", "add", "--name", "carol"];
    let added = piped(&scene.pair, &add, broken.as_bytes()).await;
    assert_eq!(added.0, Some(0), "{}", added.1);
    let known = alice.contact("carol").await.unwrap();
    assert_eq!(known.state(), ContactState::Asked);
    let wrong = piped(&scene.pair, &["contact", "add", "-"], b"hello").await;
    assert_eq!(wrong.0, Some(1));
    assert!(wrong.1.contains("must begin with m2://"), "{}", wrong.1);
    let nothing = piped(&scene.pair, &["contact", "add"], b"").await;
    assert_eq!(nothing.0, Some(1), "{}", nothing.1);
    scene.end().await;
}

#[tokio::test]
async fn an_empty_stdin_sends_nothing() {
    let scene = Scene::begin().await;
    let sent = piped(&scene.pair, &["send", "bob"], b"").await;
    assert_eq!(sent.0, Some(2), "{}", sent.1);
    assert!(sent.1.contains("stdin"), "{}", sent.1);
    let sent = piped(&scene.pair, &["send", "bob", "-"], b"").await;
    assert_eq!(sent.0, Some(2), "{}", sent.1);
    scene.end().await;
}

#[tokio::test]
async fn command_errors_name_the_accepted_values_and_the_next_step() {
    let scene = Scene::begin().await;
    let ttl = ["send", "bob", "x", "--ttl", "366d"];
    for (arguments, told) in [
        (&ttl[..], "--ttl must be between 1s and 365d"),
        (&["listen", "--count", "x"], "--count takes a whole number"),
        (&["send", "nobody", "x"], "Next: m2 contact list"),
    ] {
        let output = scene.pair.alice.m2(arguments).await.unwrap();
        assert!(output.stderr.contains(told), "{}", output.stderr);
    }
    scene.end().await;
}

/// Asserts that the call was refused because of this field. Returns the error's metadata.
#[track_caller]
fn about<T: std::fmt::Debug>(answer: Result<T, Status>, field: &str) -> Vec<(String, String)> {
    let status = answer.unwrap_err();
    assert_eq!(Reason::of(&status), Some(Reason::InvalidArgument));
    let metadata = metadata_of(&status);
    let named = metadata.iter().find(|(key, _)| key == "field");
    assert_eq!(named.map(|(_, value)| value.as_str()), Some(field));
    assert!(status.message().ends_with('.'), "{}", status.message());
    metadata
}

async fn counter(api: &Api, name: &str) -> u64 {
    let status = eventually("status", async || Ok(api.status().await.ok()));
    let counts = status.await.unwrap().refused;
    counts.get(name).copied().unwrap_or_default()
}
