//! A token admits one letter: repetitions, spent marks, and their bound.

use super::{Backend, open, stored};
use crate::letters::{
    NOW, SIZE, collect, deposit, deposit_to, key, letter, nonce, open_box, owner, period, rival,
};
use futures::future::join_all;
use m2_crypto::deposit::Period;
use m2_mailbox::store::{Deposit, Deposited, Limits};
use std::sync::Arc;

const HOUR_MS: u64 = 60 * 60 * 1_000;
const WEEK_MS: u64 = 7 * 24 * HOUR_MS;

pub(super) async fn a_repetition_is_success_and_adds_nothing(backend: &dyn Backend) {
    let [store, other] = open(backend).await;
    open_box(&*store, 1).await;
    stored(&*store, deposit(0), NOW).await;
    for round in 0..3 {
        for front_end in [&store, &other] {
            let outcome = front_end.deposit(deposit(0), NOW + 1000 * round).await;
            assert_eq!(outcome.unwrap(), Deposited::AlreadyThere);
        }
    }
    let there = [(nonce(0), letter(0, SIZE))];
    assert_eq!(collect(&*other, 1, 1 << 20).await, there);

    // The same after the letter was taken, at any later time.
    store.take(owner(1), vec![nonce(0)]).await.unwrap();
    for now_ms in [NOW, NOW + 3 * WEEK_MS] {
        for front_end in [&store, &other] {
            let outcome = front_end.deposit(deposit(0), now_ms).await.unwrap();
            assert_eq!(outcome, Deposited::AlreadyThere);
        }
    }
    assert!(collect(&*other, 1, 1 << 20).await.is_empty());
    assert_eq!(store.totals().await.unwrap().letters, 0);
}

pub(super) async fn a_nonce_carries_one_letter(backend: &dyn Backend) {
    let [store, other] = open(backend).await;
    open_box(&*store, 1).await;
    stored(&*store, deposit(0), NOW).await;
    let mut longer = rival(0);
    longer.letter = letter(0, 2 * SIZE);
    let mut other_end = deposit(0);
    let mut bytes = other_end.letter.to_vec();
    *bytes.last_mut().unwrap() ^= 1;
    other_end.letter = bytes.into();
    for is_taken in [false, true] {
        if is_taken {
            store.take(owner(1), vec![nonce(0)]).await.unwrap();
        }
        for front_end in [&store, &other] {
            for second in [&rival(0), &longer, &other_end] {
                let outcome = front_end.deposit(second.clone(), NOW).await.unwrap();
                assert_eq!(outcome, Deposited::Refused, "taken: {is_taken}");
            }
        }
        let there = collect(&*other, 1, 1 << 20).await;
        let left = [(nonce(0), letter(0, SIZE))];
        assert_eq!(there, left[usize::from(is_taken)..]);
    }
    // A token of another period under the same nonce admits no second letter, either.
    let mut next = rival(0);
    next.token = key(1).token(&owner(1), nonce(0), next_period());
    let outcome = store.deposit(next, NOW).await.unwrap();
    assert_eq!(outcome, Deposited::Refused);
}

pub(super) async fn a_nonce_is_unique_within_a_box_only(backend: &dyn Backend) {
    let [store, other] = open(backend).await;
    open_box(&*store, 1).await;
    open_box(&*store, 2).await;
    let mut elsewhere = deposit_to(2, 0);
    elsewhere.letter = letter(7, SIZE);
    stored(&*store, deposit(0), NOW).await;
    stored(&*other, elsewhere.clone(), NOW).await;
    store.take(owner(1), vec![nonce(0)]).await.unwrap();
    let there = collect(&*other, 2, 1 << 20).await;
    assert_eq!(there, [(nonce(0), letter(7, SIZE))]);
    let repeated = store.deposit(elsewhere, NOW).await.unwrap();
    assert_eq!(repeated, Deposited::AlreadyThere);
}

/// While a letter is replaced by its mark, there is no moment at which its nonce is free.
pub(super) async fn a_repetition_during_taking_adds_nothing(backend: &dyn Backend) {
    const ROUNDS: u64 = 25;
    let stores = open(backend).await;
    open_box(&*stores[0], 1).await;
    for round in 0..ROUNDS {
        stored(&*stores[0], deposit(round), NOW).await;
        let takes = (0..2).map(|at| stores[at].take(owner(1), vec![nonce(round)]));
        let attempts = (0..8).map(|attempt: usize| {
            let store = Arc::clone(&stores[attempt % 2]);
            let (deposit, expected) = if attempt < 4 {
                (deposit(round), Deposited::AlreadyThere)
            } else {
                (rival(round), Deposited::Refused)
            };
            tokio::spawn(async move {
                assert_eq!(store.deposit(deposit, NOW).await.unwrap(), expected);
            })
        });
        let (taken, attempts) = futures::join!(join_all(takes), join_all(attempts));
        taken.into_iter().for_each(Result::unwrap);
        attempts.into_iter().for_each(Result::unwrap);
    }
    for store in &stores {
        assert!(collect(&**store, 1, 1 << 20).await.is_empty());
    }
}

pub(super) async fn an_expired_letter_is_admitted_again(backend: &dyn Backend) {
    let [store, other] = open(backend).await;
    open_box(&*store, 1).await;
    for number in 0..2 {
        stored(&*store, deposit(number), NOW).await;
    }
    store.take(owner(1), vec![nonce(1)]).await.unwrap();
    let later = NOW + WEEK_MS;
    assert_eq!(store.purge(later, 100).await.unwrap(), 1);
    assert!(collect(&*other, 1, 1 << 20).await.is_empty());
    stored(&*other, deposit(0), later).await;
    let outcome = store.deposit(deposit(1), later).await.unwrap();
    assert_eq!(outcome, Deposited::AlreadyThere, "that one was taken");
    let there = collect(&*store, 1, 1 << 20).await;
    assert_eq!(there, [(nonce(0), letter(0, SIZE))]);
    // It has its full time again.
    assert_eq!(store.purge(later + WEEK_MS - HOUR_MS, 9).await.unwrap(), 0);
    assert_eq!(store.purge(later + WEEK_MS, 9).await.unwrap(), 1);
}

pub(super) async fn marks_end_with_their_period(backend: &dyn Backend) {
    let limits = Limits {
        box_spent: 2,
        ..Limits::default()
    };
    let [store, _] = backend.open(limits).await;
    open_box(&*store, 1).await;
    let mut next = deposit(1);
    next.token = key(1).token(&owner(1), nonce(1), next_period());
    stored(&*store, deposit(0), NOW).await;
    stored(&*store, next.clone(), NOW).await;
    store
        .take(owner(1), vec![nonce(0), nonce(1)])
        .await
        .unwrap();

    let valid = period().valid_until_s() * 1_000;
    let kept = period().mark_kept_until_s() * 1_000;
    let outcome = store.deposit(deposit(0), valid - 1).await.unwrap();
    assert_eq!(outcome, Deposited::AlreadyThere, "to its last moment");
    assert_eq!(store.purge(kept - 1, 100).await.unwrap(), 0);
    let full = store.deposit(of_next_period(2), kept - 1).await.unwrap();
    assert_eq!(full, Deposited::BoxFull, "both marks count");
    assert_eq!(store.purge(kept, 100).await.unwrap(), 1);
    stored(&*store, of_next_period(2), kept).await;
    // The mark of the other period is still there.
    let outcome = store.deposit(next, kept).await.unwrap();
    assert_eq!(outcome, Deposited::AlreadyThere);
    let outcome = store.deposit(deposit(0), kept).await.unwrap();
    assert_eq!(outcome, Deposited::Refused, "not valid any more");
    let second = next_period().mark_kept_until_s() * 1_000;
    assert_eq!(store.purge(second, 100).await.unwrap(), 2);
    assert_eq!(store.purge(second, 100).await.unwrap(), 0);
}

pub(super) async fn marks_are_bounded(backend: &dyn Backend) {
    let limits = Limits {
        box_spent: 5,
        ..Limits::default()
    };
    let [store, _] = backend.open(limits).await;
    open_box(&*store, 1).await;
    open_box(&*store, 2).await;
    let take = async |numbers: std::ops::Range<u64>| {
        let taken = store.take(owner(1), numbers.map(nonce).collect()).await;
        taken.unwrap();
    };
    let outcome = async |deposit| store.deposit(deposit, NOW).await.unwrap();
    for number in 0..3 {
        stored(&*store, deposit(number), NOW).await;
    }
    take(0..3).await;
    take(0..3).await;
    // Letters and marks count together, as each letter may leave a mark.
    for number in 3..5 {
        stored(&*store, deposit(number), NOW).await;
    }
    assert_eq!(outcome(deposit(5)).await, Deposited::BoxFull);
    take(3..5).await;
    assert_eq!(outcome(deposit(5)).await, Deposited::BoxFull);
    // What is repeated adds nothing, and strangers learn nothing.
    assert_eq!(outcome(deposit(4)).await, Deposited::AlreadyThere);
    assert_eq!(outcome(rival(4)).await, Deposited::Refused);
    stored(&*store, deposit_to(2, 5), NOW).await;
    let kept = period().mark_kept_until_s() * 1_000;
    assert_eq!(store.purge(kept, 100).await.unwrap(), 6);
    for number in 10..15 {
        stored(&*store, of_next_period(number), kept).await;
    }
    let full = store.deposit(of_next_period(15), kept).await.unwrap();
    assert_eq!(full, Deposited::BoxFull);
}

fn next_period() -> Period {
    Period::new(period().number() + 1)
}

/// Returns a deposit of letter `number` for box 1, with a token of the period after that of `NOW`.
fn of_next_period(number: u64) -> Deposit {
    Deposit {
        token: key(1).token(&owner(1), nonce(number), next_period()),
        ..deposit(number)
    }
}
