//! Letters from deposit to delivery, and boxes that are opened and removed.

use m2_proto::api::v1::MessageState;
use m2_tests::scenario::{Api, Trio, eventually};

#[tokio::test]
async fn letters_are_delivered_though_sender_and_receiver_are_never_online_together() {
    let mut trio = Trio::start().await.unwrap();
    trio.consent().await.unwrap();
    let alice = Api::of(&trio.alice).await.unwrap();
    trio.bob.stop().await.unwrap();
    let mut ids = Vec::new();
    for number in 0..5 {
        ids.push(
            alice
                .send("bob", &format!("letter {number}"))
                .await
                .unwrap(),
        );
    }
    for id in &ids {
        let deposited = MessageState::Deposited;
        alice.await_message(id, deposited).await.unwrap();
    }
    trio.alice.stop().await.unwrap();

    trio.bob.restart().await.unwrap();
    let bob = Api::of(&trio.bob).await.unwrap();
    bob.await_text("alice", "letter 4").await.unwrap();
    let expected: Vec<String> = (0..5).map(|number| format!("letter {number}")).collect();
    eventually("all letters, in order", async || {
        Ok((bob.received("alice").await? == expected).then_some(()))
    })
    .await
    .unwrap();

    // In the next session alice learns that all letters arrived, and none is shown twice.
    trio.alice.restart().await.unwrap();
    let alice = Api::of(&trio.alice).await.unwrap();
    for id in &ids {
        let delivered = MessageState::Delivered;
        alice.await_message(id, delivered).await.unwrap();
    }
    assert_eq!(bob.received("alice").await.unwrap(), expected);
}

#[tokio::test]
async fn a_box_can_be_collected_and_removed() {
    let trio = Trio::start().await.unwrap();
    trio.consent().await.unwrap();
    let (alice, bob) = trio.apis().await.unwrap();
    let collected = trio.bob.m2(&["--json", "mailbox", "collect"]).await;
    let collected = collected.unwrap().json().unwrap();
    assert_eq!(collected[0]["state"], "MAILBOX_STATE_OPEN");
    assert!(alice.contact("bob").await.unwrap().mailbox_offered);
    assert!(!bob.contact("alice").await.unwrap().mailbox_offered);

    let provider = collected[0]["providerId"].as_str().unwrap();
    let removed = trio.bob.m2(&["mailbox", "remove", provider]).await;
    removed.unwrap().success().unwrap();
    eventually("no box and no offer", async || {
        let list = trio.bob.m2(&["--json", "mailbox", "list"]).await?;
        let offered = alice.contact("bob").await?.mailbox_offered;
        Ok((list.json()?.is_empty() && !offered).then_some(()))
    })
    .await
    .unwrap();
}
