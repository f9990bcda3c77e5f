//! Reading, taking, expiry and durability.

use super::{Backend, expect_totals, open, stored};
use crate::letters::{
    NOW, SIZE, collect, deposit, deposit_of, deposit_to, key, letter, nonce, open_box, owner, rival,
};
use futures::future::join_all;
use m2_mailbox::store::{Deposited, LETTER_SIZES, Registered};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

pub(super) async fn pages_give_every_letter_once_in_no_order_of_arrival(backend: &dyn Backend) {
    const COUNT: u64 = 60;
    let [store, other] = open(backend).await;
    open_box(&*store, 1).await;
    open_box(&*store, 2).await;
    for number in 0..COUNT {
        let size = LETTER_SIZES[number as usize % 4];
        stored(&*store, deposit_of(number, size), NOW).await;
        stored(&*store, deposit_to(2, 1000 + number), NOW).await;
    }
    let arrived: Vec<_> = (0..COUNT).map(nonce).collect();
    let set: BTreeSet<_> = arrived.iter().copied().collect();
    for limit in [0, 16_384, 40_000, 1 << 20] {
        let all = collect(&*other, 1, limit).await;
        let nonces: Vec<_> = all.iter().map(|(nonce, _)| *nonce).collect();
        assert_eq!(nonces.len() as u64, COUNT, "limit {limit}");
        assert_eq!(nonces.iter().copied().collect::<BTreeSet<_>>(), set);
        let place = |nonce| arrived.iter().position(|other| other == nonce).unwrap();
        let places: Vec<_> = nonces.iter().map(place).collect();
        let rising = places.windows(2).filter(|pair| pair[0] < pair[1]).count();
        assert!((15..45).contains(&rising), "{places:?}");
    }
    let none = store.letters(owner(3), None, 4096).await.unwrap();
    assert!(none.letters.is_empty() && none.next.is_none());
}

pub(super) async fn a_cursor_outlives_its_letter(backend: &dyn Backend) {
    let [store, _] = open(backend).await;
    open_box(&*store, 1).await;
    for number in 0..20 {
        stored(&*store, deposit(number), NOW).await;
    }
    let (mut seen, mut after) = (BTreeSet::new(), None);
    loop {
        let page = store.letters(owner(1), after, 3 * SIZE).await.unwrap();
        let nonces: Vec<_> = page.letters.iter().map(|(nonce, _)| *nonce).collect();
        assert!(nonces.iter().all(|nonce| seen.insert(*nonce)));
        store.take(owner(1), nonces).await.unwrap();
        match page.next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    assert_eq!(seen.len(), 20);
    assert_eq!(store.totals().await.unwrap().letters, 0);
}

pub(super) async fn what_was_taken_is_gone(backend: &dyn Backend) {
    let [store, other] = open(backend).await;
    open_box(&*store, 1).await;
    open_box(&*store, 2).await;
    for number in 0..3 {
        stored(&*store, deposit(number), NOW).await;
    }
    let (unknown, twice) = (nonce(77), nonce(0));
    store
        .take(owner(1), vec![twice, unknown, nonce(2), twice])
        .await
        .unwrap();
    let left = [(nonce(1), letter(1, SIZE))];
    assert_eq!(collect(&*other, 1, 1 << 20).await, left);
    // Another owner's nonces, and an owner without a box.
    for number in [2, 3] {
        store.take(owner(number), vec![nonce(1)]).await.unwrap();
    }
    assert_eq!(collect(&*other, 1, 1 << 20).await, left);
    expect_totals(&*store, 2, 1, SIZE as u64).await;
    // What was not there when it was named as taken has left no mark.
    stored(&*other, deposit(77), NOW).await;
    stored(&*other, deposit_to(2, 1), NOW).await;
}

pub(super) async fn letters_expire_by_the_hour(backend: &dyn Backend) {
    const HOUR: u64 = 60 * 60 * 1000;
    const WEEK: u64 = 7 * 24 * HOUR;
    let [store, other] = open(backend).await;
    open_box(&*store, 1).await;
    stored(&*store, deposit(0), NOW).await;
    stored(&*store, deposit(1), NOW + 3 * HOUR).await;
    assert_eq!(store.purge(NOW, 100).await.unwrap(), 0);
    assert_eq!(store.purge(NOW + WEEK - HOUR, 100).await.unwrap(), 0);
    assert_eq!(store.purge(NOW + WEEK, 100).await.unwrap(), 1);
    let left = [(nonce(1), letter(1, SIZE))];
    assert_eq!(collect(&*other, 1, 1 << 20).await, left);
    assert_eq!(other.purge(NOW + WEEK + 3 * HOUR, 100).await.unwrap(), 1);
    assert!(collect(&*store, 1, 1 << 20).await.is_empty());
    assert!(store.has_box(owner(1)).await.unwrap());
    assert_eq!(store.totals().await.unwrap().bytes, 0);
}

pub(super) async fn a_purge_keeps_to_its_budget(backend: &dyn Backend) {
    const LATER: u64 = NOW + 8 * 24 * 60 * 60 * 1000;
    const MUCH_LATER: u64 = NOW + 100 * 24 * 60 * 60 * 1000;
    let [store, _] = open(backend).await;
    open_box(&*store, 1).await;
    for number in 0..30 {
        stored(&*store, deposit(number), NOW).await;
    }
    let taken = (25..30).map(nonce).collect();
    store.take(owner(1), taken).await.unwrap();
    assert_eq!(store.purge(LATER, 0).await.unwrap(), 0);
    for left in [10, 10, 5] {
        assert_eq!(store.purge(LATER, 10).await.unwrap(), left);
    }
    assert_eq!(store.totals().await.unwrap().letters, 0);
    assert_eq!(store.purge(MUCH_LATER, 0).await.unwrap(), 0);
    for left in [3, 2, 0] {
        assert_eq!(store.purge(MUCH_LATER, 3).await.unwrap(), left, "marks");
    }
}

pub(super) async fn a_removed_box_leaves_nothing(backend: &dyn Backend) {
    let [store, other] = open(backend).await;
    for number in [1, 2] {
        open_box(&*store, number).await;
    }
    let deposits = (0..400).map(|number| store.deposit(deposit(number), NOW));
    join_all(deposits).await;
    let taken = (0..300).map(nonce).collect();
    store.take(owner(1), taken).await.unwrap();
    stored(&*store, deposit_to(2, 0), NOW).await;
    assert!(store.remove_box(owner(1)).await.unwrap());
    for number in [0, 399, 400] {
        let outcome = other.deposit(deposit(number), NOW).await.unwrap();
        assert_eq!(outcome, Deposited::Refused, "not even a repetition");
    }
    // A box with the same key keeps no memory of the earlier one.
    let made = store.register_box(owner(1), key(1)).await.unwrap();
    assert_eq!(made, Registered::New);
    assert!(collect(&*other, 1, 1 << 20).await.is_empty());
    expect_totals(&*store, 2, 1, SIZE as u64).await;
    stored(&*other, rival(0), NOW).await;
    stored(&*other, rival(399), NOW).await;
}

pub(super) async fn owners_hear_of_arrivals(backend: &dyn Backend) {
    let [store, other] = open(backend).await;
    open_box(&*store, 1).await;
    open_box(&*store, 2).await;
    let (mut mine, mut others) = (store.subscribe(owner(1)), store.subscribe(owner(2)));
    for number in 0..2 {
        stored(&*other, deposit(number), NOW).await;
        let heard = tokio::time::timeout(Duration::from_secs(60), mine.changed()).await;
        assert!(heard.is_ok());
    }
    let quiet = tokio::time::timeout(Duration::from_millis(300), others.changed()).await;
    assert!(quiet.is_err(), "nothing came for the other");
}

pub(super) async fn what_was_stored_is_there_after_reopening(backend: &dyn Backend) {
    let [store, other] = open(backend).await;
    open_box(&*store, 1).await;
    for number in 0..5 {
        stored(&*store, deposit(number), NOW).await;
    }
    store.take(owner(1), vec![nonce(4)]).await.unwrap();
    let totals = store.totals().await.unwrap();
    drop((store, other));
    let [store, _] = open(backend).await;
    assert_eq!(store.totals().await.unwrap(), totals);
    let all: BTreeMap<_, _> = collect(&*store, 1, 1 << 20).await.into_iter().collect();
    assert_eq!(all.len(), 4);
    assert!((0..4).all(|number| all[&nonce(number)] == letter(number, SIZE)));
    // Letters, marks and the box's key are known.
    for number in [0, 4] {
        let repeated = store.deposit(deposit(number), NOW).await.unwrap();
        assert_eq!(repeated, Deposited::AlreadyThere);
        let second = store.deposit(rival(number), NOW).await.unwrap();
        assert_eq!(second, Deposited::Refused);
    }
    stored(&*store, deposit(5), NOW).await;
}
