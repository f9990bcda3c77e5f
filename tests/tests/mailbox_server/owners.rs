//! Guarantees for an owner in its session.

use crate::people::{SEED, Tokens, ends_with, groundless, letter, nonce};
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
    let tokens = Tokens::new(&bob, SEED);
    let mut depositor = scene.depositor(&carol).await;
    for number in 0..LETTERS {
        let deposit = tokens.deposit(number, 64 * KIB);
        assert_eq!(depositor.deposit(deposit).await, Outcome::Stored);
    }
    let first = owner.letters().await;
    assert_eq!(first.len(), 16);
    let mut seen: HashSet<_> = first.iter().map(|letter| letter.nonce).collect();
    // Each letter taken makes room for another.
    owner.take(vec![first[5].nonce]).await;
    let next = owner.letters().await;
    assert_eq!(next.len(), 1);
    let mut taken = vec![first[5].nonce];
    for letter in next {
        assert!(seen.insert(letter.nonce));
    }
    while taken.len() < LETTERS as usize {
        let out: Vec<_> = seen.iter().copied().collect();
        let fresh: Vec<_> = out.into_iter().filter(|one| !taken.contains(one)).collect();
        owner.take(fresh.clone()).await;
        taken.extend(fresh);
        for letter in owner.letters().await {
            assert!(
                seen.insert(letter.nonce),
                "a letter was pushed twice in a session"
            );
        }
    }
    assert_eq!(seen.len(), LETTERS as usize);
    assert!(owner.letters().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_key_ends_all_tokens_and_keeps_the_letters() {
    let scene = Scene::start().await;
    let (bob, carol) = (bob(), carol());
    let owner = scene.owner(&bob).await;
    let (first, second) = (Tokens::new(&bob, SEED), Tokens::new(&bob, 2));
    let third = Tokens::new(&bob, 3);
    let mut depositor = scene.depositor(&carol).await;
    let deposit = first.deposit(1, 4 * KIB);
    assert_eq!(depositor.deposit(deposit.clone()).await, Outcome::Stored);
    drop(owner);

    // The owner opens its box with another key.
    let mut owner = scene.guest(&bob).await;
    assert!(owner.open_with(2).await.open);
    assert_eq!(owner.letter().await, letter(1, 4 * KIB));
    assert_eq!(depositor.deposit(deposit).await, Outcome::Refused);
    let late = first.deposit(2, 4 * KIB);
    assert_eq!(depositor.deposit(late).await, Outcome::Refused);
    let new = second.deposit(3, 4 * KIB);
    assert_eq!(depositor.deposit(new.clone()).await, Outcome::Stored);
    assert_eq!(owner.letter().await.nonce, nonce(3));

    // The confirmation of a box that exists sets the key, too, without any invitation.
    assert!(owner.ask(groundless(3)).await.open);
    assert_eq!(depositor.deposit(new).await, Outcome::Refused);
    let newest = third.deposit(4, 4 * KIB);
    assert_eq!(depositor.deposit(newest).await, Outcome::Stored);
    assert_eq!(owner.letter().await.nonce, nonce(4));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_newest_session_of_an_owner_replaces_the_older_one() {
    let scene = Scene::start().await;
    let (bob, carol) = (bob(), carol());
    let old = scene.owner(&bob).await;
    let tokens = Tokens::new(&bob, SEED);
    let mut new = scene.guest(&bob).await;
    assert!(new.open().await.open);
    ends_with(&old.session, CloseCode::Replaced).await;
    let mut depositor = scene.depositor(&carol).await;
    let deposit = tokens.deposit(1, 4 * KIB);
    assert_eq!(depositor.deposit(deposit).await, Outcome::Stored);
    assert_eq!(new.letter().await.nonce, nonce(1));
    assert_eq!(scene.count("MAILBOX_SESSION_REPLACED").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_box_leaves_no_letter_and_no_mark() {
    let scene = Scene::start().await;
    let (bob, carol) = (bob(), carol());
    let mut owner = scene.owner(&bob).await;
    let tokens = Tokens::new(&bob, SEED);
    let mut depositor = scene.depositor(&carol).await;
    for number in 0..2 {
        let deposit = tokens.deposit(number, 4 * KIB);
        assert_eq!(depositor.deposit(deposit).await, Outcome::Stored);
    }
    owner.take(vec![nonce(0)]).await;
    assert!(!owner.remove().await.open);
    for number in 0..3 {
        let deposit = tokens.deposit(number, 4 * KIB);
        assert_eq!(depositor.deposit(deposit).await, Outcome::Refused);
    }
    let invitation = scene.invite(false).await;
    let mut owner = scene.guest(&bob).await;
    assert!(owner.register(&invitation).await.open);
    assert!(owner.open().await.open);
    assert!(owner.letters().await.is_empty());
    let second = tokens.second(0, 4 * KIB);
    assert_eq!(depositor.deposit(second).await, Outcome::Stored);
}

#[tokio::test(flavor = "multi_thread")]
async fn owners_above_the_limit_are_refused() {
    let scene = Scene::with("max_owners = 1").await;
    let (bob, carol) = (bob(), carol());
    let mut first = scene.owner(&bob).await;
    let invitation = scene.invite(true).await;
    let second = scene.guest(&carol).await;
    second.say(second.registration(&invitation)).await;
    ends_with(&second.session, CloseCode::Refused).await;
    assert_eq!(scene.count("MAILBOX_OWNERS_TOO_MANY").await, 1);
    assert!(first.open().await.open);
}
