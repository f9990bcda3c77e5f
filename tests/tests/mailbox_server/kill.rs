//! Acknowledged letters survive a kill of the provider.

use crate::people::{SEED, Tokens, nonce};
use crate::scene::{Scene, bob, carol};
use m2_net::wire::Message;
use m2_net::wire::mailbox::{Mailbox, Outcome, Request};
use std::collections::HashSet;

const SIZE: usize = 4 << 10;
/// As many letters as an owner gets before it takes any: less than 1 MiB.
const LETTERS: u64 = 240;

#[tokio::test(flavor = "multi_thread")]
async fn an_acknowledged_letter_is_never_lost() {
    let mut scene = Scene::start().await;
    let (bob, carol) = (bob(), carol());
    let _owner = scene.owner(&bob).await;
    let tokens = Tokens::new(&bob, SEED);

    // Killed while letters are deposited and pushed.
    let mut stored = HashSet::new();
    let mut depositor = scene.depositor(&carol).await;
    for number in 0..LETTERS {
        depositor.send(tokens.deposit(number, SIZE)).await;
        if number >= 50 {
            let (letter, outcome) = depositor.outcome().await;
            assert_eq!(outcome, Outcome::Stored);
            stored.insert(letter);
        }
    }
    scene.kill_and_restart().await;
    let mut owner = scene.guest(&bob).await;
    assert!(owner.open().await.open);
    let first: HashSet<_> = owner.letters().await.iter().map(|one| one.nonce).collect();
    assert!(stored.is_subset(&first));

    // A repeated deposit whose answer was lost succeeds, and adds no second letter.
    let mut depositor = scene.depositor(&carol).await;
    for number in LETTERS - 50..LETTERS {
        let deposit = tokens.deposit(number, SIZE);
        assert_eq!(depositor.deposit(deposit).await, Outcome::Stored);
        stored.insert(nonce(number));
    }
    assert_eq!(stored.len() as u64, LETTERS);

    // Killed after some letters were taken: those are gone, the others are pushed, none twice.
    let taken: Vec<_> = first.iter().copied().take(100).collect();
    owner.take(taken.clone()).await;
    owner.say(Request::Taken(vec![nonce(LETTERS - 1)])).await;
    scene.kill_and_restart().await;
    let mut owner = scene.guest(&bob).await;
    assert!(owner.open().await.open);
    let rest: Vec<_> = owner.letters().await.iter().map(|one| one.nonce).collect();
    let unique: HashSet<_> = rest.iter().copied().collect();
    assert_eq!(unique.len(), rest.len());
    assert!(taken.iter().all(|one| !unique.contains(one)));
    let missing = stored.iter().filter(|one| !unique.contains(*one));
    let known: HashSet<_> = taken.iter().copied().chain([nonce(LETTERS - 1)]).collect();
    assert!(missing.into_iter().all(|one| known.contains(one)));

    // What was taken is known as such: a repetition succeeds, and brings nothing back.
    let mut depositor = scene.depositor(&carol).await;
    let mut of_taken = (0..LETTERS).filter(|number| taken.contains(&nonce(*number)));
    let number = of_taken.next().unwrap();
    let repeated = tokens.deposit(number, SIZE);
    assert_eq!(depositor.deposit(repeated).await, Outcome::Stored);
    let second = tokens.second(number, SIZE);
    assert_eq!(depositor.deposit(second).await, Outcome::Refused);
    assert!(owner.letters().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_with_owners_and_depositors_connected_is_clean() {
    let mut scene = Scene::start().await;
    let (bob, carol) = (bob(), carol());
    let _owner = scene.owner(&bob).await;
    let depositor = scene.depositor(&carol).await;
    let tokens = Tokens::new(&bob, SEED);
    let frame = Mailbox::Deposit(tokens.deposit(0, SIZE));
    let frame = Message::Mailbox(Box::new(frame));
    depositor.session.send_frame(frame).await.unwrap();
    assert!(scene.alice.stop().await.unwrap().success());
    assert!(!scene.alice.log().contains("ERROR"));
}
