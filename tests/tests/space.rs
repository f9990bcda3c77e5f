//! Bounds on what one contact can make a daemon store, and on the size of one response.
#![allow(clippy::unwrap_used, clippy::panic)]

use m2_proto::api::v1::{ListMessagesRequest, ListMessagesResponse};
use m2_tests::harness::Setup;
use m2_tests::scenario::{Api, Pair, eventually};
use std::fs;

/// The smallest limit that can be set: 1 MiB, which 26 of the texts below reach.
const QUOTA: &str = "[store]\ncontact_bytes = 1048576";
const TEXTS: usize = 40;
const REACHED: usize = 26;

fn text(number: usize) -> String {
    format!("{number:02} {}", "x".repeat(40 * 1_024))
}

#[tokio::test]
async fn a_contact_above_its_quota_waits_and_loses_no_message() {
    let alice = Setup::new().identity("alice").tables(QUOTA);
    let bob = Setup::new().identity("bob");
    let mut pair = Pair::start_as(alice, bob).await.unwrap();
    let (alice, bob) = pair.apis().await.unwrap();
    for number in 0..TEXTS {
        bob.send("alice", &text(number)).await.unwrap();
    }
    eventually("a message to be held back", async || {
        let refused = alice.status().await?.refused;
        Ok((refused.get("CONTACT_QUOTA_REACHED").copied() > Some(0)).then_some(()))
    })
    .await
    .unwrap();
    let contact = alice.contact("bob").await.unwrap();
    assert!(contact.quota_reached);
    assert_eq!(contact.received_bytes, (REACHED * text(0).len()) as u64);
    let warnings = alice.status().await.unwrap().warnings;
    let told = warnings.iter().any(|it| it.contains("contact_bytes"));
    assert!(told, "{warnings:?}");
    assert!(bob.contact("alice").await.unwrap().queued_messages >= (TEXTS - REACHED) as u64);
    // With a higher limit all waiting messages arrive, once and in order.
    pair.alice.stop().await.unwrap();
    let config = fs::read_to_string(pair.alice.config()).unwrap();
    fs::write(pair.alice.config(), config.replace(QUOTA, "")).unwrap();
    pair.alice.restart().await.unwrap();
    bob.await_empty_outbox().await.unwrap();
    let alice = Api::of(&pair.alice).await.unwrap();
    let expected: Vec<String> = (0..TEXTS).map(text).collect();
    assert!(alice.received("bob").await.unwrap() == expected);
    pages_are_bounded(&alice).await;
    // The command line reads page after page.
    let history = pair
        .alice
        .m2(&["--json", "history", "bob", "--limit", "1000"]);
    assert_eq!(history.await.unwrap().json().unwrap().len(), TEXTS);
}

async fn pages_are_bounded(alice: &Api) {
    let first = page(alice, "").await;
    assert_eq!(first.messages.len(), REACHED);
    let second = page(alice, &first.next).await;
    assert_eq!(second.messages.len(), TEXTS - REACHED);
    assert_eq!(second.next, "");
}

async fn page(api: &Api, before: &str) -> ListMessagesResponse {
    let request = ListMessagesRequest {
        contact: "bob".to_owned(),
        limit: 1_000,
        before: before.to_owned(),
        ..Default::default()
    };
    let answer = api.client().messages().list_messages(request).await;
    answer.unwrap().into_inner()
}
