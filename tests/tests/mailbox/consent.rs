//! Without the consent of both contacts the provider receives no letter.
//!
//! Verified by mutation: if `mail::may_deposit` ignores the sender's own setting, carol receives
//! three letters.

use m2_proto::api::v1::{MailboxServer, MessageState};
use m2_tests::scenario::{Api, Trio, eventually, set_policy};
use std::time::Duration;

/// Three times the delay after which a waiting message becomes a letter.
const LONG_ENOUGH: Duration = Duration::from_secs(3);

/// Asserts that carol has no letter, never had one, and saw no attempt.
async fn nothing_came(trio: &Trio) {
    let MailboxServer {
        available,
        boxes,
        letters,
        deposited,
        ..
    } = trio.server().await.unwrap();
    assert_eq!((available, boxes, letters, deposited), (true, 1, 0, 0));
    let refused = trio.carol.status().await.unwrap().refused;
    let tried = |reason: &&String| reason.starts_with("MAILBOX_");
    assert_eq!(refused.keys().find(tried), None);
}

/// Sends to bob while he is offline. Asserts that the messages wait until he is back.
async fn write_in_vain(trio: &mut Trio, alice: &Api, when: &str) {
    trio.bob.stop().await.unwrap();
    let mut ids = Vec::new();
    for number in 0..3 {
        let text = format!("{number} for bob alone, {when}");
        ids.push(alice.send("bob", &text).await.unwrap());
    }
    tokio::time::sleep(LONG_ENOUGH).await;
    nothing_came(trio).await;
    for id in &ids {
        let state = alice.message(id).await.unwrap().state();
        assert_eq!(state, MessageState::Queued, "{when}");
    }
    trio.bob.restart().await.unwrap();
    for id in &ids {
        let delivered = MessageState::Delivered;
        alice.await_message(id, delivered).await.unwrap();
    }
}

#[tokio::test]
async fn without_both_consents_no_letter_reaches_the_provider() {
    let mut trio = Trio::start().await.unwrap();
    let (alice, bob) = trio.apis().await.unwrap();
    for (grant, uses) in [(false, false), (true, false), (false, true)] {
        set_policy(&bob, "alice", Some(grant), None).await.unwrap();
        set_policy(&alice, "bob", None, Some(uses)).await.unwrap();
        eventually("what bob offers", async || {
            let offered = alice.contact("bob").await?.mailbox_offered;
            Ok((offered == grant).then_some(()))
        })
        .await
        .unwrap();
        let when = format!("grant {grant}, use {uses}");
        write_in_vain(&mut trio, &alice, &when).await;
    }

    // Control: with both settings on, the same scene deposits a letter.
    trio.consent().await.unwrap();
    trio.bob.stop().await.unwrap();
    let id = alice.send("bob", "for the box").await.unwrap();
    let deposited = MessageState::Deposited;
    alice.await_message(&id, deposited).await.unwrap();
    let server = trio.server().await.unwrap();
    assert_eq!((server.letters, server.deposited), (1, 1));

    // Off again while bob is offline: the earlier consent no longer counts.
    set_policy(&alice, "bob", None, Some(false)).await.unwrap();
    let id = alice.send("bob", "no more").await.unwrap();
    tokio::time::sleep(LONG_ENOUGH).await;
    let state = alice.message(&id).await.unwrap().state();
    assert_eq!(state, MessageState::Queued);
    let server = trio.server().await.unwrap();
    assert_eq!((server.letters, server.deposited), (1, 1));
}
