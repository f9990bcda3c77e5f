//! Which letters a box accepts, and how they are delivered and deleted.

use crate::people::{SEED, Tokens, ends_with, letter, nonce, now_s};
use crate::scene::{Scene, bob, carol};
use m2_crypto::deposit::{DepositToken, PERIOD_S, Period};
use m2_net::session::CloseCode;
use m2_net::wire::Message;
use m2_net::wire::mailbox::{Mailbox, Outcome, Request};
use m2_tests::hostile::public_id;

const KIB: usize = 1 << 10;
const DAY_S: u64 = 24 * 3_600;

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_is_pushed_at_once_and_deleted_once_taken() {
    let scene = Scene::start().await;
    let (bob, carol) = (bob(), carol());
    let mut owner = scene.owner(&bob).await;
    let tokens = Tokens::new(&bob, SEED);

    let mut depositor = scene.depositor(&carol).await;
    let sent = tokens.deposit(1, 8 * KIB);
    assert_eq!(depositor.deposit(sent.clone()).await, Outcome::Stored);
    assert_eq!(owner.letter().await, letter(1, 8 * KIB));

    // A letter that was not taken is pushed again in the next session, together with later ones.
    drop(owner);
    let later = tokens.deposit(2, 4 * KIB);
    assert_eq!(depositor.deposit(later).await, Outcome::Stored);
    let mut owner = scene.guest(&bob).await;
    assert!(owner.open().await.open);
    let mut letters = owner.letters().await;
    letters.sort_by_key(|letter| letter.nonce);
    assert_eq!(letters, [letter(1, 8 * KIB), letter(2, 4 * KIB)]);

    owner.take(vec![nonce(1), nonce(2), nonce(99)]).await;
    let mut owner = scene.guest(&bob).await;
    assert!(owner.open().await.open);
    assert!(owner.letters().await.is_empty());

    // The depositor may repeat it, if it has not heard the answer: there is no second letter.
    assert_eq!(depositor.deposit(sent).await, Outcome::Stored);
    assert!(owner.letters().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_admits_one_letter_to_one_box() {
    let scene = Scene::start().await;
    let (bob, carol) = (bob(), carol());
    let mut owner = scene.owner(&bob).await;
    let tokens = Tokens::new(&bob, SEED);
    let mut depositor = scene.depositor(&carol).await;
    let good = tokens.deposit(0, 4 * KIB);

    // Another key, a box that does not exist, another owner's box, a changed tag, other periods.
    let mut refused = vec![Tokens::new(&bob, 2).deposit(0, 4 * KIB)];
    let mut elsewhere = good.clone();
    elsewhere.owner = public_id(carol.identity());
    refused.push(elsewhere.clone());
    let mut junk = good.token.to_bytes();
    junk[33] ^= 1;
    let mut changed = good.clone();
    changed.token = DepositToken::from_bytes(&junk).unwrap();
    refused.push(changed);
    let current = Period::at(now_s()).number();
    for period in [current - 2, current + 2] {
        refused.push(tokens.deposit_in(Period::new(period), 0, 4 * KIB));
    }
    for deposit in refused {
        assert_eq!(depositor.deposit(deposit).await, Outcome::Refused);
    }
    let mut foreign = scene.owner(&carol).await;
    assert_eq!(depositor.deposit(elsewhere).await, Outcome::Refused);

    // The token is still good. It is for one letter, which can be repeated before and after it was
    // taken.
    for _ in 0..2 {
        assert_eq!(depositor.deposit(good.clone()).await, Outcome::Stored);
    }
    let second = tokens.second(0, 4 * KIB);
    assert_eq!(depositor.deposit(second.clone()).await, Outcome::Refused);
    assert_eq!(owner.letters().await, [letter(0, 4 * KIB)]);
    owner.take(vec![nonce(0)]).await;
    assert_eq!(depositor.deposit(second).await, Outcome::Refused);
    assert_eq!(depositor.deposit(good).await, Outcome::Stored);
    assert!(owner.letters().await.is_empty());
    assert!(foreign.open().await.open);
    assert!(foreign.letters().await.is_empty());
    assert_eq!(scene.count("MAILBOX_DEPOSIT_REFUSED").await, 8);
}

/// An owner's clock may be ahead of the provider's by a day.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_of_the_next_period_is_admitted_on_the_day_before() {
    let scene = Scene::start().await;
    let (bob, carol) = (bob(), carol());
    let _owner = scene.owner(&bob).await;
    let tokens = Tokens::new(&bob, SEED);
    let mut depositor = scene.depositor(&carol).await;
    let now_s = now_s();
    let current = Period::at(now_s);
    let next = Period::new(current.number() + 1);
    let earlier = Period::new(current.number() - 1);
    let deposit = tokens.deposit_in(earlier, 1, 4 * KIB);
    assert_eq!(depositor.deposit(deposit).await, Outcome::Stored);
    let is_last_day = now_s % PERIOD_S >= PERIOD_S - DAY_S;
    let expected = [Outcome::Refused, Outcome::Stored][usize::from(is_last_day)];
    let deposit = tokens.deposit_in(next, 2, 4 * KIB);
    assert_eq!(depositor.deposit(deposit).await, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn deposits_are_answered_in_order() {
    let scene = Scene::start().await;
    let (bob, carol) = (bob(), carol());
    let mut owner = scene.owner(&bob).await;
    let (tokens, wrong) = (Tokens::new(&bob, SEED), Tokens::new(&bob, 2));
    let mut depositor = scene.depositor(&carol).await;
    let depositing = async {
        let (sent, mut received) = (1_000, 0);
        let mut next = 0;
        while received < sent {
            while next < sent && next < received + 100 {
                // Every tenth deposit has a token of another key.
                let tokens = [&tokens, &wrong][usize::from(next % 10 == 0)];
                depositor.send(tokens.deposit(next, 4 * KIB)).await;
                next += 1;
            }
            let (letter, outcome) = depositor.outcome().await;
            assert_eq!(letter, nonce(received));
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
            owner.say(Request::Taken(vec![letter.nonce])).await;
            letters.push(letter.nonce);
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
    let tokens = Tokens::new(&bob, SEED);
    let mut depositor = scene.depositor(&carol).await;
    for number in 0..2 {
        let deposit = tokens.deposit(number, 4 * KIB);
        assert_eq!(depositor.deposit(deposit).await, Outcome::Stored);
    }
    let third = tokens.deposit(2, 4 * KIB);
    assert_eq!(depositor.deposit(third.clone()).await, Outcome::BoxFull);
    // A wrong token is refused as such, and a repetition succeeds, whether or not the box is full.
    let wrong = Tokens::new(&bob, 2).deposit(9, 4 * KIB);
    assert_eq!(depositor.deposit(wrong).await, Outcome::Refused);
    let repeated = tokens.deposit(1, 4 * KIB);
    assert_eq!(depositor.deposit(repeated).await, Outcome::Stored);
    assert_eq!(owner.letters().await.len(), 2);
    owner.take(vec![nonce(0)]).await;
    assert_eq!(depositor.deposit(third).await, Outcome::Stored);
    assert_eq!(owner.letter().await.nonce, nonce(2));
    assert_eq!(scene.count("MAILBOX_BOX_FULL").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_box_with_all_its_spent_marks_is_full() {
    const MARKS: u64 = 64;
    let scene = Scene::with(&format!("box_spent = {MARKS}")).await;
    let (bob, carol) = (bob(), carol());
    let mut owner = scene.owner(&bob).await;
    let tokens = Tokens::new(&bob, SEED);
    let mut depositor = scene.depositor(&carol).await;
    for number in 0..MARKS {
        let deposit = tokens.deposit(number, 4 * KIB);
        assert_eq!(depositor.deposit(deposit).await, Outcome::Stored);
    }
    let further = tokens.deposit(MARKS, 4 * KIB);
    assert_eq!(depositor.deposit(further.clone()).await, Outcome::BoxFull);
    assert_eq!(owner.letters().await.len() as u64, MARKS);
    owner.take((0..MARKS).map(nonce).collect()).await;
    assert_eq!(depositor.deposit(further).await, Outcome::BoxFull);
    let repeated = tokens.deposit(0, 4 * KIB);
    assert_eq!(depositor.deposit(repeated).await, Outcome::Stored);
    assert!(owner.letters().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_server_refuses_deposits_and_drops_no_letter() {
    let scene = Scene::with("max_bytes = 1048576").await;
    let (bob, carol) = (bob(), carol());
    let mut owner = scene.owner(&bob).await;
    let tokens = Tokens::new(&bob, SEED);
    let mut depositor = scene.depositor(&carol).await;
    let mut stored = 0;
    let full = loop {
        match depositor.deposit(tokens.deposit(stored, 64 * KIB)).await {
            Outcome::Stored => stored += 1,
            other => break other,
        }
    };
    assert_eq!(full, Outcome::ServerFull);
    assert!((8..=16).contains(&stored), "{stored}");
    let letters = owner.letters().await;
    assert_eq!(letters.len() as u64, stored);
    owner
        .take(letters.iter().map(|letter| letter.nonce).collect())
        .await;
    let again = tokens.deposit(stored, 64 * KIB);
    assert_eq!(depositor.deposit(again).await, Outcome::Stored);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_depositor_that_guesses_tokens_is_disconnected() {
    let scene = Scene::start().await;
    let (bob, carol) = (bob(), carol());
    let tokens = Tokens::new(&bob, SEED);
    let depositor = scene.depositor(&carol).await;
    for number in 0..300 {
        let frame = Mailbox::Deposit(tokens.deposit(number, 4 * KIB));
        let frame = Message::Mailbox(Box::new(frame));
        if depositor.session.send_frame(frame).await.is_err() {
            break;
        }
    }
    ends_with(&depositor.session, CloseCode::Misbehaved).await;
    assert!(scene.count("MAILBOX_DEPOSIT_REFUSED").await <= 257 + 64);
}
