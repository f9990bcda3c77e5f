//! What a provider can do with the letters and tokens that it sees: nothing that loses a message or uses
//! a key up.

use crate::provider::{Provider, frame};
use m2_crypto::deposit::{DepositNonce, TokenVerifier};
use m2_net::session::Ended;
use m2_net::wire::Message;
use m2_net::wire::mailbox::{BoxState, Letter, Mailbox, Outcome, Request};
use m2_proto::api::v1::MessageState::{self, Deposited};
use m2_tests::harness::{Daemon, Setup, Wire};
use m2_tests::scenario::{Api, PATIENCE, SOON, befriend, counted, eventually, set_policy};
use rand_core::UnwrapErr;
use std::collections::HashMap;
use tokio::time::timeout;

/// Alice, who deposits letters for bob, and their provider.
struct Scene {
    provider: Provider,
    alice: Daemon,
    bob: Daemon,
    wire: Wire,
}

impl Scene {
    async fn start() -> Self {
        let (provider, wire) = (Provider::start(), Wire::new().await.unwrap());
        let setup = |name: &str| Setup::new().identity(name).tables(SOON);
        let (alice, bob) = tokio::try_join!(
            Daemon::start(setup("alice").announce(wire.address())),
            Daemon::start(setup("bob"))
        )
        .unwrap();
        wire.aim(alice.udp_address().await.unwrap());
        befriend((&alice, "alice"), (&bob, "bob")).await.unwrap();
        provider.register(&bob).await;
        let scene = Self {
            provider,
            alice,
            bob,
            wire,
        };
        let (alice, bob) = scene.apis().await;
        set_policy(&bob, "alice", Some(true), None).await.unwrap();
        set_policy(&alice, "bob", None, Some(true)).await.unwrap();
        scene.tokens(16).await;
        scene
    }

    async fn apis(&self) -> (Api, Api) {
        let (alice, bob) = tokio::join!(Api::of(&self.alice), Api::of(&self.bob));
        (alice.unwrap(), bob.unwrap())
    }

    /// Waits until alice has this number of tokens.
    async fn tokens(&self, count: u32) {
        let alice = Api::of(&self.alice).await.unwrap();
        eventually(&format!("{count} tokens"), async || {
            let tokens = alice.contact("bob").await?.mailbox_tokens;
            Ok((tokens == count).then_some(()))
        })
        .await
        .unwrap();
    }

    /// Separates alice and bob. Both reach the provider.
    async fn part(&mut self) {
        self.bob.stop().await.unwrap();
        self.wire.cut();
        self.bob.restart().await.unwrap();
        self.provider.is_open(&self.bob).await;
    }

    /// Lets alice and bob meet.
    async fn meet(&mut self) {
        self.wire.pass_all();
        self.bob.stop().await.unwrap();
        self.bob.restart().await.unwrap();
        self.provider.is_open(&self.bob).await;
        let alice = Api::of(&self.alice).await.unwrap();
        alice.await_empty_outbox().await.unwrap();
    }

    async fn refused(&self) -> HashMap<String, u64> {
        self.bob
            .status()
            .await
            .unwrap()
            .refused
            .into_iter()
            .collect()
    }
}

/// Junk, the letter of another nonce and an altered letter open nothing under a nonce, and its own letter
/// opens afterwards. A letter that is repeated is shown once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn letters_that_are_swapped_altered_and_repeated_use_no_key_up() {
    let mut scene = Scene::start().await;
    scene.part().await;
    scene.provider.pass_on(false);
    let (alice, bob) = scene.apis().await;
    alice.send("bob", "one").await.unwrap();
    alice.send("bob", "two").await.unwrap();
    let seen = scene.provider.deposits(2).await;
    let [one, two] = [0, 1].map(|number: usize| seen[number].deposit.clone());
    assert!(!scene.refused().await.contains_key("LETTER_UNOPENED"));

    let mut altered = one.sealed.to_vec();
    altered[2_048] ^= 1;
    let nonce = *one.token.nonce();
    for wrong in [&vec![7; 4_096][..], &two.sealed, &altered] {
        scene.provider.push(nonce, wrong).await;
    }
    assert_eq!(scene.refused().await["LETTER_UNOPENED"], 3);
    for deposit in [&two, &one, &one, &two] {
        let nonce = *deposit.token.nonce();
        scene.provider.push(nonce, &deposit.sealed).await;
    }
    eventually("both letters", async || {
        Ok((bob.received("alice").await? == ["one", "two"]).then_some(()))
    })
    .await
    .unwrap();
    let refused = scene.refused().await;
    assert_eq!(
        (refused["LETTER_UNKNOWN"], refused["LETTER_UNOPENED"]),
        (2, 3)
    );
    scene.meet().await;
    assert_eq!(bob.received("alice").await.unwrap(), ["one", "two"]);
}

/// A letter that the provider keeps back, though it acknowledged it, arrives in the next session.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_letter_that_is_withheld_arrives_in_a_session() {
    let mut scene = Scene::start().await;
    scene.part().await;
    scene.provider.pass_on(false);
    let (alice, bob) = scene.apis().await;
    let id = alice.send("bob", "withheld").await.unwrap();
    let deposited = Deposited;
    alice.await_message(&id, deposited).await.unwrap();
    scene.meet().await;
    let bob_now = Api::of(&scene.bob).await.unwrap();
    assert_eq!(bob_now.received("alice").await.unwrap(), ["withheld"]);
    drop(bob);
    // It comes late, and is shown once.
    let late = scene.provider.seen()[0].deposit.clone();
    scene.provider.push(*late.token.nonce(), &late.sealed).await;
    assert_eq!(bob_now.received("alice").await.unwrap(), ["withheld"]);
}

/// A provider that refuses every token uses up tokens, not messages: alice says so, and bob gives others.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_that_are_refused_are_replaced_in_the_next_session() {
    let mut scene = Scene::start().await;
    scene.part().await;
    scene.provider.answer(Outcome::Refused);
    let alice = Api::of(&scene.alice).await.unwrap();
    let id = alice.send("bob", "refused").await.unwrap();
    let seen = scene.provider.deposits(2).await;
    // Another token, and another letter.
    assert_ne!(seen[0].deposit.token, seen[1].deposit.token);
    assert_ne!(seen[0].deposit.sealed, seen[1].deposit.sealed);
    let contact = alice.contact("bob").await.unwrap();
    assert_eq!(contact.mailbox_failure, "MAILBOX_REFUSED");
    assert!(contact.mailbox_tokens < 16);
    scene.provider.answer(Outcome::Stored);
    scene.meet().await;
    scene.tokens(16).await;
    let state = alice.message(&id).await.unwrap().state();
    assert_eq!(state, MessageState::Delivered);
}

/// The owner gives its box another key: the provider learns it in the session that is up, tokens under the
/// old one are replaced.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_box_key_reaches_provider_and_contacts() {
    let mut scene = Scene::start().await;
    let before = scene.provider.keys();
    let list = scene.bob.m2(&["--json", "mailbox", "list"]).await.unwrap();
    let provider = list.json().unwrap()[0]["providerId"].clone();
    let rekey = ["mailbox", "rekey", provider.as_str().unwrap()];
    scene.bob.m2(&rekey).await.unwrap().success().unwrap();
    eventually("a new key at the provider", async || {
        let keys = scene.provider.keys();
        Ok((keys.last() != before.last()).then_some(()))
    })
    .await
    .unwrap();
    scene.tokens(16).await;
    scene.part().await;
    let alice = Api::of(&scene.alice).await.unwrap();
    alice.send("bob", "under the new key").await.unwrap();
    let seen = scene.provider.deposits(1).await;
    let (token, owner) = (seen[0].deposit.token, seen[0].deposit.owner);
    let verifier = TokenVerifier::new(&mut UnwrapErr(getrandom::SysRng));
    let now_s = token.period().start_s();
    let keys = scene.provider.keys();
    let is_of = |key| verifier.verify(&owner, key, &token, now_s).is_ok();
    assert!(is_of(keys.last()) && !is_of(before.last()));
}

/// Frames that no provider sends to an owner.
fn for_no_owner() -> Vec<Message> {
    let nonce = DepositNonce::from_bytes([1; 16]);
    let outcome = Outcome::Stored;
    vec![
        frame(Mailbox::Deposited { nonce, outcome }),
        frame(Mailbox::Offer(Vec::new())),
        frame(Mailbox::Request(Request::Remove)),
        frame(Mailbox::State(BoxState::default())),
        frame(Mailbox::Letter(Letter {
            nonce,
            sealed: vec![1; 4_095].into(),
        })),
        Message::ContactReply { accepted: true },
    ]
}

/// The owner ends the session with a provider that sends such a frame, comes back, and collects its letters.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_owner_leaves_a_provider_that_breaks_the_protocol() {
    let mut scene = Scene::start().await;
    for message in for_no_owner() {
        let what = format!("{message:?}");
        let session = scene.provider.tell_owner(message).await;
        let ended = timeout(PATIENCE, session.closed()).await;
        assert!(matches!(ended, Ok(Ended::ByPeer(_))), "{what}: {ended:?}");
        scene.provider.is_open(&scene.bob).await;
    }
    scene.part().await;
    let (alice, bob) = scene.apis().await;
    alice.send("bob", "in spite of it").await.unwrap();
    bob.await_text("alice", "in spite of it").await.unwrap();
    scene.meet().await;
    assert!(!scene.bob.log().contains("panicked"));
}

/// Answers that are no outcome of the deposit: the depositor says that the provider misbehaved, and keeps its letter
/// as it is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_depositor_keeps_a_letter_whose_answer_is_wrong() {
    let mut scene = Scene::start().await;
    scene.part().await;
    let (alice, bob) = scene.apis().await;
    let nonce = DepositNonce::from_bytes([1; 16]);
    let outcome = Outcome::Stored;
    let wrong = [
        // The outcome of another deposit.
        frame(Mailbox::Deposited { nonce, outcome }),
        frame(Mailbox::State(BoxState::default())),
        Message::ContactReply { accepted: true },
    ];
    scene.provider.pass_on(false);
    scene.provider.answer_with(Some(vec![wrong[0].clone()]));
    let id = alice.send("bob", "kept").await.unwrap();
    for (number, message) in (1..).zip(&wrong) {
        scene.provider.answer_with(Some(vec![message.clone()]));
        scene.provider.deposits(number).await;
        eventually("the end of the deposit", async || {
            let failed = counted(&alice.status().await?, "DEPOSIT_FAILED");
            Ok((failed >= number as u64).then_some(()))
        })
        .await
        .unwrap();
        let failure = alice.contact("bob").await.unwrap().mailbox_failure;
        assert_eq!(failure, "PROVIDER_MISBEHAVED");
        assert_ne!(alice.message(&id).await.unwrap().state(), Deposited);
    }
    scene.provider.pass_on(true);
    scene.provider.answer_with(None);
    alice.await_message(&id, Deposited).await.unwrap();
    bob.await_text("alice", "kept").await.unwrap();
    // One letter under one token: the provider may have stored it.
    let seen = scene.provider.seen();
    assert!(seen.iter().all(|it| it.deposit == seen[0].deposit));
    scene.meet().await;
    assert_eq!(bob.received("alice").await.unwrap(), ["kept"]);
}
