//! Several providers on one NATS cluster: they serve the same boxes.

use crate::people::{Depositor, SEED, Tokens, ends_with, letter, nonce};
use crate::scene::{Scene, bob, carol};
use m2_crypto::PeerId;
use m2_crypto::deposit::DepositNonce;
use m2_crypto::handshake::Credential;
use m2_net::dial_error::DialError;
use m2_net::session::{CloseCode, Session};
use m2_net::wire::Message;
use m2_net::wire::mailbox::{Deposit, Mailbox, Outcome, Request};
use m2_tests::harness::NatsCluster;
use m2_tests::scenario::eventually;
use m2_tests::skip::skip;
use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::timeout;

const SIZE: usize = 4 << 10;

#[tokio::test(flavor = "multi_thread")]
async fn two_providers_serve_the_same_boxes() {
    let Some(nats) = start(1).await else { return };
    let mut one = Scene::named("alice", &tables(&nats)).await;
    let two = Scene::named("carol", &tables(&nats)).await;
    let bob = bob();

    // A box registered at one provider is served at the other too, with the same key.
    let mut here = one.owner(&bob).await;
    let tokens = Tokens::new(&bob, SEED);
    let mut there = two.guest(&bob).await;
    assert!(there.open().await.open);
    let invitation = two.invite(false).await;
    assert!(there.register(&invitation).await.open);

    // A letter deposited at one provider is pushed at both, at once. A token admits one letter.
    let mut at_one = one.depositor(&bob).await;
    let mut at_two = two.depositor(&bob).await;
    let first = tokens.deposit(0, SIZE);
    assert_eq!(at_one.deposit(first.clone()).await, Outcome::Stored);
    assert_eq!(here.letter().await, letter(0, SIZE));
    assert_eq!(there.letter().await, letter(0, SIZE));
    assert_eq!(at_two.deposit(first.clone()).await, Outcome::Stored);
    let second = tokens.second(0, SIZE);
    assert_eq!(at_two.deposit(second.clone()).await, Outcome::Refused);
    there.take(vec![nonce(0)]).await;
    assert_eq!(at_one.deposit(first).await, Outcome::Stored);
    assert_eq!(at_one.deposit(second).await, Outcome::Refused);

    // One provider is killed: the letters that it acknowledged come from the other, the letters taken
    // do not.
    let known = deposit_some(&mut at_one, &tokens).await;
    one.alice.kill9().await.unwrap();
    let mut got = HashSet::new();
    while got.len() < known.len() {
        assert!(
            got.insert(there.letter().await.nonce),
            "a letter was pushed twice in a session"
        );
    }
    assert_eq!(got, known);
    one.alice.restart().await.unwrap();
    one.address = one.alice.udp_address().await.unwrap();
    let mut again = one.guest(&bob).await;
    assert!(again.open().await.open);
    let letters: HashSet<_> = again.letters().await.iter().map(|one| one.nonce).collect();
    assert_eq!(letters, known);
    for scene in [&one, &two] {
        assert!(!scene.alice.data().join("mailbox.db").exists());
    }
}

async fn deposit_some(depositor: &mut Depositor, tokens: &Tokens) -> HashSet<DepositNonce> {
    let mut known = HashSet::new();
    for number in 1..16 {
        let deposit = tokens.deposit(number, SIZE);
        assert_eq!(depositor.deposit(deposit).await, Outcome::Stored);
        known.insert(nonce(number));
    }
    known
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_starts_without_its_cluster_and_serves_once_it_is_reachable() {
    let Some(mut nats) = start(1).await else {
        return;
    };
    nats.kill(0).unwrap();
    let scene = Scene::named("alice", &tables(&nats)).await;
    let (bob, carol) = (bob(), carol());
    assert!(!available(&scene).await);

    // Sessions of peers are served, and mailbox sessions are refused at once.
    let peer = bob.dial(scene.address, scene.alices_id()).await.unwrap();
    unavailable(scene.dial_owner(&bob).await).await;
    unavailable(scene.dial_anonymous(&carol).await).await;
    assert_eq!(scene.count("MAILBOX_STORE_NOT_REACHED").await, 2);
    assert_eq!(peer.close_reason(), None);

    nats.run(0).unwrap();
    eventually("the cluster", async || {
        Ok(available(&scene).await.then_some(()))
    })
    .await
    .unwrap();
    let mut owner = scene.owner(&bob).await;
    let tokens = Tokens::new(&bob, SEED);
    let mut depositor = scene.depositor(&carol).await;
    let deposit = tokens.deposit(1, SIZE);
    assert_eq!(depositor.deposit(deposit).await, Outcome::Stored);
    assert_eq!(owner.letter().await, letter(1, SIZE));
    assert!(!scene.alice.log().contains("ERROR"));
}

/// Asserts that a session ends as unavailable, possibly before the Hello is read.
async fn unavailable(dialled: Result<Session, DialError>) {
    match dialled {
        Ok(session) => ends_with(&session, CloseCode::Unavailable).await,
        Err(error) => assert_eq!(error, DialError::Refused),
    }
}

/// The letters of the next test, and the numbers stored at which a node and a provider are killed.
const LETTERS: u64 = 300;
const NODE_DIES_AT: u64 = 60;
const FRONT_END_DIES_AT: u64 = 150;

/// Two providers on three nodes: a node is killed, then a provider, while deposits arrive at both.
#[tokio::test(flavor = "multi_thread")]
async fn killing_a_node_and_a_provider_under_load_loses_no_acknowledged_letter() {
    let Some(mut nats) = start(3).await else {
        return;
    };
    let mut one = Scene::named("alice", &tables(&nats)).await;
    let two = Scene::named("carol", &tables(&nats)).await;
    for scene in [&one, &two] {
        eventually("a leader", async || {
            Ok(available(scene).await.then_some(()))
        })
        .await
        .unwrap();
    }
    let bob = bob();
    drop(two.owner(&bob).await);
    let tokens = Tokens::new(&bob, SEED);

    let stored = Arc::new(AtomicU64::new(0));
    let front_ends = [&one, &two].map(|scene| (scene.address, scene.alices_id()));
    let senders: Vec<_> = (0..4)
        .map(|sender| {
            let mine: Vec<_> = (sender..LETTERS)
                .step_by(4)
                .map(|number| tokens.deposit(number, SIZE))
                .collect();
            tokio::spawn(deposit_all(mine, front_ends, stored.clone()))
        })
        .collect();
    reached(&stored, NODE_DIES_AT).await;
    nats.kill(0).unwrap();
    reached(&stored, FRONT_END_DIES_AT).await;
    one.alice.kill9().await.unwrap();
    for sender in senders {
        sender.await.unwrap();
    }

    let mut owner = two.guest(&bob).await;
    assert!(owner.open().await.open);
    let mut got = HashSet::new();
    while got.len() < LETTERS as usize {
        let letter = owner.letter().await.nonce;
        assert!(got.insert(letter), "a letter was pushed twice in a session");
        owner.say(Request::Taken(vec![letter])).await;
    }
    assert_eq!(got, (0..LETTERS).map(nonce).collect());
    // Each nonce is spent for its letter.
    owner.take(vec![nonce(0)]).await;
    let mut depositor = two.depositor(&bob).await;
    for number in 0..LETTERS {
        let repeated = tokens.deposit(number, SIZE);
        assert_eq!(depositor.deposit(repeated).await, Outcome::Stored);
    }
    let second = tokens.second(0, SIZE);
    assert_eq!(depositor.deposit(second).await, Outcome::Refused);
    assert!(owner.letters().await.is_empty());
}

async fn reached(stored: &AtomicU64, count: u64) {
    eventually(&format!("{count} letters"), async || {
        Ok((stored.load(Ordering::Relaxed) >= count).then_some(()))
    })
    .await
    .unwrap();
}

/// Deposits as a sender does: repeats a letter at either provider until it is stored.
async fn deposit_all(
    deposits: Vec<Deposit>,
    front_ends: [(SocketAddr, PeerId); 2],
    stored: Arc<AtomicU64>,
) {
    let nobody = carol();
    let (mut turn, mut session) = (0, None);
    for deposit in deposits {
        loop {
            if session.is_none() {
                let (address, peer) = front_ends[turn % 2];
                turn += 1;
                let dialled = nobody.dial_as(Credential::Anonymous, address, peer);
                session = timeout(ANSWER, dialled).await.ok().and_then(Result::ok);
                continue;
            }
            match answer(session.as_mut().unwrap(), &deposit).await {
                Some(Outcome::Stored) => break,
                // A letter that cannot be stored now may be stored later, at either provider.
                Some(Outcome::ServerFull) | None => session = None,
                Some(other) => panic!("{other:?}"),
            }
        }
        stored.fetch_add(1, Ordering::Relaxed);
    }
}

/// The timeout of an answer. A dead provider does not answer, and no node answers during a leader
/// election.
const ANSWER: Duration = Duration::from_secs(5);

async fn answer(session: &mut Session, deposit: &Deposit) -> Option<Outcome> {
    let frame = Message::Mailbox(Box::new(Mailbox::Deposit(deposit.clone())));
    session.send_frame(frame).await.ok()?;
    match timeout(ANSWER, session.recv_frame()).await.ok()?.ok()? {
        Message::Mailbox(answer) => match *answer {
            Mailbox::Deposited { nonce, outcome } if nonce == *deposit.token.nonce() => {
                Some(outcome)
            }
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
}

/// Starts a cluster. Skips the test with `None` if nats-server is not installed.
async fn start(nodes: usize) -> Option<NatsCluster> {
    let nats = NatsCluster::start(nodes).await.unwrap();
    if nats.is_none() {
        skip("nats-server is not installed");
    }
    nats
}

fn tables(nats: &NatsCluster) -> String {
    let (servers, nodes) = (nats.servers(), nats.servers().len());
    format!("[mailbox]\nserve = true\nreplicas = {nodes}\nnats = {servers:?}\n")
}

async fn available(scene: &Scene) -> bool {
    let status = scene.api.status().await.unwrap();
    status.mailbox_server.unwrap().available
}
