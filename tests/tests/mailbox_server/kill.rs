//! Acknowledged letters survive a kill of the provider.

use crate::people::{Tokens, id};
use crate::scene::{Scene, bob, carol};
use m2_net::wire::Message;
use m2_net::wire::mailbox::{Mailbox, Outcome, Request};
use std::collections::HashSet;

const KIB: usize = 1 << 10;

#[tokio::test(flavor = "multi_thread")]
async fn an_acknowledged_letter_is_never_lost() {
    let mut scene = Scene::start().await;
    let (bob, carol) = (bob(), carol());
    let mut owner = scene.owner(&bob).await;
    let tokens = Tokens::new(&bob, 1);
    owner.add(tokens.hashes(0..2_000)).await;

    // Killed while letters are deposited and pushed.
    let mut stored = HashSet::new();
    let mut depositor = scene.depositor(&carol).await;
    for number in 0..400 {
        depositor.send(tokens.deposit(number, number, KIB)).await;
        if number >= 50 {
            let (letter, outcome) = depositor.outcome().await;
            assert_eq!(outcome, Outcome::Stored);
            stored.insert(letter);
        }
    }
    scene.kill_and_restart().await;
    let mut owner = scene.guest(&bob).await;
    assert!(owner.open().await.open);
    let first: HashSet<_> = owner.letters().await.iter().map(|one| one.id).collect();
    assert!(stored.is_subset(&first));

    // A repeated deposit whose answer was lost succeeds, and adds no second letter.
    let mut depositor = scene.depositor(&carol).await;
    for number in 350..400 {
        let deposit = tokens.deposit(number, number, KIB);
        assert_eq!(depositor.deposit(deposit).await, Outcome::Stored);
        stored.insert(id(number));
    }
    assert_eq!(stored.len(), 400);

    // Killed after some letters were taken: those are gone, the others are pushed, none twice.
    let taken: Vec<_> = first.iter().copied().take(100).collect();
    owner.take(taken.clone()).await;
    owner.say(Request::Taken(vec![id(399)])).await;
    scene.kill_and_restart().await;
    let mut owner = scene.guest(&bob).await;
    assert!(owner.open().await.open);
    let rest: Vec<_> = owner.letters().await.iter().map(|one| one.id).collect();
    let unique: HashSet<_> = rest.iter().copied().collect();
    assert_eq!(unique.len(), rest.len());
    assert!(taken.iter().all(|id| !unique.contains(id)));
    let missing = stored.iter().filter(|one| !unique.contains(*one));
    let known: HashSet<_> = taken.into_iter().chain([id(399)]).collect();
    assert!(missing.into_iter().all(|one| known.contains(one)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_with_owners_and_depositors_connected_is_clean() {
    let mut scene = Scene::start().await;
    let (bob, carol) = (bob(), carol());
    let _owner = scene.owner(&bob).await;
    let depositor = scene.depositor(&carol).await;
    let tokens = Tokens::new(&bob, 1);
    let frame = Mailbox::Deposit(tokens.deposit(0, 0, KIB));
    let frame = Message::Mailbox(Box::new(frame));
    depositor.session.send_frame(frame).await.unwrap();
    assert!(scene.alice.stop().await.unwrap().success());
    assert!(!scene.alice.log().contains("ERROR"));
}
