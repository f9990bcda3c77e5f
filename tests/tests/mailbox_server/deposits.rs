//! Which letters a box accepts, and how they are delivered and deleted.

use crate::people::{Tokens, ends_with, id};
use crate::scene::{Scene, bob, carol};
use m2_net::session::CloseCode;
use m2_net::wire::mailbox::Outcome;

const KIB: usize = 1 << 10;

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_is_pushed_at_once_and_deleted_once_taken() {
    let scene = Scene::start().await;
    let (bob, carol) = (bob(), carol());
    let mut owner = scene.owner(&bob).await;
    let tokens = Tokens::new(&bob, 1);
    assert_eq!(owner.add(tokens.hashes(0..8)).await, (true, 8));

    let mut depositor = scene.depositor(&carol).await;
    let sent = tokens.deposit(0, 1, 2 * KIB);
    assert_eq!(depositor.deposit(sent.clone()).await, Outcome::Stored);
    assert_eq!(owner.letter().await, sent.letter);
    assert_eq!(owner.tokens().await.1.len(), 7);

    // A letter that was not taken is pushed again in the next session, together with later ones.
    drop(owner);
    let later = tokens.deposit(1, 2, KIB);
    assert_eq!(depositor.deposit(later.clone()).await, Outcome::Stored);
    let mut owner = scene.guest(&bob).await;
    assert!(owner.open().await.open);
    let mut letters = owner.letters().await;
    letters.sort_by_key(|letter| letter.id);
    assert_eq!(letters, [sent.letter, later.letter]);

    owner.take(vec![id(1), id(2), id(99)]).await;
    let mut owner = scene.guest(&bob).await;
    assert!(owner.open().await.open);
    assert!(owner.letters().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_admits_one_letter_to_one_box() {
    let scene = Scene::start().await;
    let (bob, carol) = (bob(), carol());
    let mut owner = scene.owner(&bob).await;
    let tokens = Tokens::new(&bob, 1);
    assert_eq!(owner.add(tokens.hashes(0..4)).await, (true, 4));
    let mut depositor = scene.depositor(&carol).await;

    // A wrong token, a box that does not exist, another owner's box, a withdrawn token.
    let wrong = tokens.deposit(4, 1, KIB);
    assert_eq!(depositor.deposit(wrong).await, Outcome::Refused);
    let mut elsewhere = tokens.deposit(0, 1, KIB);
    elsewhere.owner = m2_tests::hostile::public_id(carol.identity());
    assert_eq!(depositor.deposit(elsewhere).await, Outcome::Refused);
    let mut foreign = scene.owner(&carol).await;
    let mut there = tokens.deposit(0, 1, KIB);
    there.owner = m2_tests::hostile::public_id(carol.identity());
    assert_eq!(depositor.deposit(there).await, Outcome::Refused);
    assert_eq!(owner.withdraw(tokens.hashes(3..9)).await, (true, 3));
    let withdrawn = tokens.deposit(3, 1, KIB);
    assert_eq!(depositor.deposit(withdrawn).await, Outcome::Refused);

    // A spent token; the same deposit again; the same letter with another token, which is not spent.
    let good = tokens.deposit(0, 1, KIB);
    assert_eq!(depositor.deposit(good.clone()).await, Outcome::Stored);
    let second = tokens.deposit(0, 2, KIB);
    assert_eq!(depositor.deposit(second).await, Outcome::Refused);
    assert_eq!(depositor.deposit(good).await, Outcome::Stored);
    let repeat = tokens.deposit(1, 1, KIB);
    assert_eq!(depositor.deposit(repeat).await, Outcome::Stored);
    assert_eq!(owner.tokens().await.1.len(), 2);

    let letters = owner.letters().await;
    assert_eq!(letters.len(), 1);
    assert!(foreign.open().await.open);
    assert!(foreign.letters().await.is_empty());
    assert_eq!(scene.count("MAILBOX_DEPOSIT_REFUSED").await, 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn deposits_are_answered_in_order() {
    let scene = Scene::start().await;
    let (bob, carol) = (bob(), carol());
    let mut owner = scene.owner(&bob).await;
    let tokens = Tokens::new(&bob, 1);
    owner.add(tokens.hashes(0..1_000)).await;
    let mut depositor = scene.depositor(&carol).await;
    let depositing = async {
        let (sent, mut received) = (1_000, 0);
        let mut next = 0;
        while received < sent {
            while next < sent && next < received + 100 {
                // Every tenth deposit has an unknown token.
                let index = if next % 10 == 0 { 5_000 + next } else { next };
                depositor.send(tokens.deposit(index, next, KIB)).await;
                next += 1;
            }
            let (letter, outcome) = depositor.outcome().await;
            assert_eq!(letter, id(received));
            let refused = received % 10 == 0;
            let expected = [Outcome::Stored, Outcome::Refused][usize::from(refused)];
            assert_eq!(outcome, expected);
            received += 1;
        }
    };
    let collecting = async {
        let mut letters = Vec::new();
        while letters.len() < 900 {
            let letter = owner.letter().await;
            owner
                .say(m2_net::wire::mailbox::Request::Taken(vec![letter.id]))
                .await;
            letters.push(letter.id);
        }
        letters
    };
    let ((), mut letters) = tokio::join!(depositing, collecting);
    letters.sort_unstable();
    letters.dedup();
    assert_eq!(letters.len(), 900);
    assert!(owner.letters().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_box_accepts_letters_again_once_some_are_taken() {
    let scene = Scene::with("box_letters = 2").await;
    let (bob, carol) = (bob(), carol());
    let mut owner = scene.owner(&bob).await;
    let tokens = Tokens::new(&bob, 1);
    owner.add(tokens.hashes(0..8)).await;
    let mut depositor = scene.depositor(&carol).await;
    for number in 0..2 {
        let deposit = tokens.deposit(number, number, KIB);
        assert_eq!(depositor.deposit(deposit).await, Outcome::Stored);
    }
    let third = tokens.deposit(2, 2, KIB);
    assert_eq!(depositor.deposit(third.clone()).await, Outcome::BoxFull);
    // An unknown token is refused as such, whether or not the box is full.
    let wrong = tokens.deposit(9, 9, KIB);
    assert_eq!(depositor.deposit(wrong).await, Outcome::Refused);
    assert_eq!(owner.letters().await.len(), 2);
    owner.take(vec![id(0)]).await;
    assert_eq!(depositor.deposit(third).await, Outcome::Stored);
    assert_eq!(owner.letter().await.id, id(2));
    assert_eq!(scene.count("MAILBOX_BOX_FULL").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_server_refuses_deposits_and_drops_no_letter() {
    let scene = Scene::with("max_bytes = 1048576").await;
    let (bob, carol) = (bob(), carol());
    let mut owner = scene.owner(&bob).await;
    let tokens = Tokens::new(&bob, 1);
    owner.add(tokens.hashes(0..64)).await;
    let mut depositor = scene.depositor(&carol).await;
    let mut stored = 0;
    let full = loop {
        match depositor
            .deposit(tokens.deposit(stored, stored, 64 * KIB))
            .await
        {
            Outcome::Stored => stored += 1,
            other => break other,
        }
    };
    assert_eq!(full, Outcome::ServerFull);
    assert!((8..=16).contains(&stored), "{stored}");
    let letters = owner.letters().await;
    assert_eq!(letters.len() as u64, stored);
    owner
        .take(letters.iter().map(|letter| letter.id).collect())
        .await;
    let again = tokens.deposit(stored, stored, 64 * KIB);
    assert_eq!(depositor.deposit(again).await, Outcome::Stored);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_depositor_that_guesses_tokens_is_disconnected() {
    let scene = Scene::start().await;
    let (bob, carol) = (bob(), carol());
    let tokens = Tokens::new(&bob, 1);
    let depositor = scene.depositor(&carol).await;
    for number in 0..300 {
        let frame = m2_net::wire::mailbox::Mailbox::Deposit(tokens.deposit(number, number, KIB));
        let frame = m2_net::wire::Message::Mailbox(Box::new(frame));
        if depositor.session.send_frame(frame).await.is_err() {
            break;
        }
    }
    ends_with(&depositor.session, CloseCode::Misbehaved).await;
    assert!(scene.count("MAILBOX_DEPOSIT_REFUSED").await <= 257 + 64);
}
