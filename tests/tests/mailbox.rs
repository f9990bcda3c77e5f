//! Mailboxes with real daemons: carol keeps letters for bob, who is away when alice writes.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use m2_proto::api::v1::{MessageState, SetContactPolicyRequest};
use m2_tests::harness::{Daemon, Setup};
use m2_tests::scenario::{Api, Pair, eventually};
use std::time::Duration;

/// Messages go to a mailbox after a second, and at once.
const SOON: &str = "[mailbox]\nafter_s = 1\ndelay_s = 0\n";
const SERVES: &str = "[mailbox]\nserve = true\n";

/// Alice and bob, contacts, and carol, who has a box for bob.
struct Scene {
    pair: Pair,
    carol: Daemon,
}

impl Scene {
    async fn start() -> Self {
        let carol = Setup::new()
            .identity("carol")
            .network("session_keys = 16")
            .tables(SERVES);
        let carol = Daemon::start(carol).await.unwrap();
        let setup = |name| Setup::new().identity(name).tables(SOON);
        let pair = Pair::start_as(setup("alice"), setup("bob")).await.unwrap();
        let scene = Self { pair, carol };
        scene.register().await;
        scene
    }

    /// Has bob register at carol.
    async fn register(&self) {
        let invitation = Api::of(&self.carol).await.unwrap();
        let invitation = invitation.invite(false, "").await.unwrap();
        let bob = &self.pair.bob;
        let asked = bob.m2(&["mailbox", "register", &invitation]).await.unwrap();
        asked.success().unwrap();
        eventually("an open box", async || {
            let list = bob.m2(&["--json", "mailbox", "list"]).await?.json()?;
            let state = list[0]["state"].as_str().unwrap();
            Ok((state == "MAILBOX_STATE_OPEN" && list[0]["online"] == true).then_some(()))
        })
        .await
        .unwrap();
    }

    /// Both consent, and alice knows.
    async fn consent(&self) {
        let (alice, bob) = self.pair.apis().await.unwrap();
        policy(&bob, "alice", Some(true), None).await;
        policy(&alice, "bob", None, Some(true)).await;
        eventually("an offer", async || {
            Ok(alice.contact("bob").await?.mailbox_offered.then_some(()))
        })
        .await
        .unwrap();
    }
}

async fn policy(api: &Api, contact: &str, grant: Option<bool>, uses: Option<bool>) {
    let request = SetContactPolicyRequest {
        contact: contact.to_owned(),
        mailbox_grant: grant,
        mailbox_use: uses,
    };
    let mut contacts = api.client().contacts();
    contacts.set_contact_policy(request).await.unwrap();
}

#[tokio::test]
async fn who_is_away_gets_letters_from_who_is_gone_again() {
    let mut scene = Scene::start().await;
    scene.consent().await;
    let alice = Api::of(&scene.pair.alice).await.unwrap();
    scene.pair.bob.stop().await.unwrap();
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
    scene.pair.alice.stop().await.unwrap();

    scene.pair.bob.restart().await.unwrap();
    let bob = Api::of(&scene.pair.bob).await.unwrap();
    bob.await_text("alice", "letter 4").await.unwrap();
    let expected: Vec<String> = (0..5).map(|number| format!("letter {number}")).collect();
    eventually("all letters, in order", async || {
        Ok((bob.received("alice").await? == expected).then_some(()))
    })
    .await
    .unwrap();

    // When they meet again alice learns that all of it came, and nothing comes twice.
    scene.pair.alice.restart().await.unwrap();
    let alice = Api::of(&scene.pair.alice).await.unwrap();
    for id in &ids {
        let delivered = MessageState::Delivered;
        alice.await_message(id, delivered).await.unwrap();
    }
    assert_eq!(bob.received("alice").await.unwrap(), expected);
}

#[tokio::test]
async fn without_the_consent_of_both_nothing_is_deposited() {
    let mut scene = Scene::start().await;
    let (alice, bob) = scene.pair.apis().await.unwrap();
    for (grant, uses) in [(false, false), (true, false), (false, true)] {
        policy(&bob, "alice", Some(grant), None).await;
        policy(&alice, "bob", None, Some(uses)).await;
        eventually("what bob offers", async || {
            let offered = alice.contact("bob").await?.mailbox_offered;
            Ok((offered == grant).then_some(()))
        })
        .await
        .unwrap();
        scene.pair.bob.stop().await.unwrap();
        let id = alice.send("bob", "for bob alone").await.unwrap();
        tokio::time::sleep(Duration::from_secs(3)).await;
        let state = alice.message(&id).await.unwrap().state();
        assert_eq!(state, MessageState::Queued, "grant {grant}, use {uses}");
        scene.pair.bob.restart().await.unwrap();
        let delivered = MessageState::Delivered;
        alice.await_message(&id, delivered).await.unwrap();
    }
    // The same scene does deposit once both consent: the check above can fail.
    scene.consent().await;
    scene.pair.bob.stop().await.unwrap();
    let id = alice.send("bob", "for the box").await.unwrap();
    let deposited = MessageState::Deposited;
    alice.await_message(&id, deposited).await.unwrap();
}

#[tokio::test]
async fn boxes_can_be_collected_and_given_up() {
    let scene = Scene::start().await;
    scene.consent().await;
    let (alice, bob) = scene.pair.apis().await.unwrap();
    let collected = scene.pair.bob.m2(&["--json", "mailbox", "collect"]).await;
    let collected = collected.unwrap().json().unwrap();
    assert_eq!(collected[0]["state"], "MAILBOX_STATE_OPEN");
    assert!(alice.contact("bob").await.unwrap().mailbox_offered);
    assert!(!bob.contact("alice").await.unwrap().mailbox_offered);

    let provider = collected[0]["providerId"].as_str().unwrap();
    let removed = scene.pair.bob.m2(&["mailbox", "remove", provider]).await;
    removed.unwrap().success().unwrap();
    eventually("no box and no offer", async || {
        let list = scene.pair.bob.m2(&["--json", "mailbox", "list"]).await?;
        let offered = alice.contact("bob").await?.mailbox_offered;
        Ok((list.json()?.is_empty() && !offered).then_some(()))
    })
    .await
    .unwrap();
}
