//! Guarantees for an owner in its session.

use crate::people::{Tokens, ends_with, id};
use crate::scene::{Scene, bob, carol};
use m2_net::session::CloseCode;
use m2_net::wire::mailbox::Outcome;
use std::collections::HashSet;

const KIB: usize = 1 << 10;

#[tokio::test(flavor = "multi_thread")]
async fn letters_in_flight_are_bounded_by_the_window_and_pushed_once() {
    const LETTERS: u64 = 40;
    let scene = Scene::start().await;
    let (bob, carol) = (bob(), carol());
    let mut owner = scene.owner(&bob).await;
    let tokens = Tokens::new(&bob, 1);
    owner.add(tokens.hashes(0..LETTERS)).await;
    let mut depositor = scene.depositor(&carol).await;
    for number in 0..LETTERS {
        let deposit = tokens.deposit(number, number, 64 * KIB);
        assert_eq!(depositor.deposit(deposit).await, Outcome::Stored);
    }
    let first = owner.letters().await;
    assert_eq!(first.len(), 16);
    let mut seen: HashSet<_> = first.iter().map(|letter| letter.id).collect();
    // Each letter taken makes room for another.
    owner.take(vec![first[5].id]).await;
    let next = owner.letters().await;
    assert_eq!(next.len(), 1);
    let mut taken = vec![first[5].id];
    for letter in next {
        assert!(seen.insert(letter.id));
    }
    while taken.len() < LETTERS as usize {
        let out: Vec<_> = seen.iter().copied().collect();
        let fresh: Vec<_> = out.into_iter().filter(|id| !taken.contains(id)).collect();
        owner.take(fresh.clone()).await;
        taken.extend(fresh);
        for letter in owner.letters().await {
            assert!(
                seen.insert(letter.id),
                "a letter was pushed twice in a session"
            );
        }
    }
    assert_eq!(seen.len(), LETTERS as usize);
    assert!(owner.letters().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_listed_in_pages_bounded_and_withdrawn() {
    let scene = Scene::with("box_tokens = 5000").await;
    let bob = bob();
    let mut owner = scene.owner(&bob).await;
    let tokens = Tokens::new(&bob, 1);
    assert_eq!(owner.tokens().await, (vec![0], Vec::new()));
    assert_eq!(owner.add(tokens.hashes(0..2_048)).await, (true, 2_048));
    assert_eq!(owner.add(tokens.hashes(0..2_048)).await, (true, 2_048));
    assert_eq!(owner.add(tokens.hashes(2_048..4_096)).await, (true, 4_096));
    assert_eq!(owner.add(tokens.hashes(4_096..5_001)).await, (false, 4_096));
    assert_eq!(owner.add(tokens.hashes(4_096..5_000)).await, (true, 5_000));
    let (pages, mut listed) = owner.tokens().await;
    assert_eq!(pages.iter().sum::<usize>(), 5_000);
    assert!(pages.iter().all(|page| *page <= 2_048));
    let mut known = tokens.hashes(0..5_000);
    known.sort_unstable();
    listed.sort_unstable();
    assert_eq!(listed, known);
    assert_eq!(owner.withdraw(tokens.hashes(0..2_000)).await, (true, 3_000));
    assert_eq!(owner.tokens().await.1.len(), 3_000);
    // Without a box, no token can be added.
    owner.remove().await;
    assert_eq!(owner.add(tokens.hashes(0..1)).await, (false, 0));
    assert_eq!(owner.tokens().await.1, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_newest_session_of_an_owner_replaces_the_older_one() {
    let scene = Scene::start().await;
    let (bob, carol) = (bob(), carol());
    let mut old = scene.owner(&bob).await;
    let tokens = Tokens::new(&bob, 1);
    old.add(tokens.hashes(0..8)).await;
    let mut new = scene.guest(&bob).await;
    assert!(new.open().await.open);
    ends_with(&old.session, CloseCode::Replaced).await;
    let mut depositor = scene.depositor(&carol).await;
    let deposit = tokens.deposit(0, 1, KIB);
    assert_eq!(depositor.deposit(deposit).await, Outcome::Stored);
    assert_eq!(new.letter().await.id, id(1));
    assert_eq!(scene.count("MAILBOX_SESSION_REPLACED").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_box_leaves_no_token_and_no_letter() {
    let scene = Scene::start().await;
    let (bob, carol) = (bob(), carol());
    let mut owner = scene.owner(&bob).await;
    let tokens = Tokens::new(&bob, 1);
    owner.add(tokens.hashes(0..8)).await;
    let mut depositor = scene.depositor(&carol).await;
    let deposit = tokens.deposit(0, 1, KIB);
    assert_eq!(depositor.deposit(deposit).await, Outcome::Stored);
    assert!(!owner.remove().await.open);
    let deposit = tokens.deposit(1, 2, KIB);
    assert_eq!(depositor.deposit(deposit).await, Outcome::Refused);
    let invitation = scene.invite(false).await;
    let mut owner = scene.guest(&bob).await;
    assert!(owner.register(&invitation).await.open);
    assert!(owner.open().await.open);
    assert_eq!(owner.tokens().await.1, []);
    assert!(owner.letters().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn owners_above_the_limit_are_refused() {
    let scene = Scene::with("max_owners = 1").await;
    let (bob, carol) = (bob(), carol());
    let mut first = scene.owner(&bob).await;
    let invitation = scene.invite(true).await;
    let second = scene.guest(&carol).await;
    let key = second
        .session
        .exporter(m2_crypto::invitation::PROOF_EXPORT_LABEL, &[])
        .unwrap();
    second
        .say(m2_net::wire::mailbox::Request::Register {
            invite_id: *invitation.id().as_bytes(),
            proof: m2_crypto::invitation::proof(invitation.token(), &key),
        })
        .await;
    ends_with(&second.session, CloseCode::Refused).await;
    assert_eq!(scene.count("MAILBOX_OWNERS_TOO_MANY").await, 1);
    assert!(first.open().await.open);
}
