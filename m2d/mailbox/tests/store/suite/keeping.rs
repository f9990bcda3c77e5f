//! Reading, acknowledging, expiry and durability.

use super::{Backend, expect_totals, open, wait_for_tokens};
use crate::letters::{NOW, collect, deposit, deposit_of, id, letter, open_box, owner, token};
use futures::future::join_all;
use m2_mailbox::store::{Deposited, LETTER_SIZES};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

pub(super) async fn pages_give_every_letter_once_in_no_order_of_arrival(backend: &dyn Backend) {
    const COUNT: u64 = 60;
    let [store, other] = open(backend).await;
    open_box(&*store, 1, COUNT).await;
    open_box(&*store, 2, COUNT).await;
    for number in 0..COUNT {
        let size = LETTER_SIZES[number as usize % 4];
        store.deposit(deposit_of(number, size), NOW).await.unwrap();
        let mut elsewhere = deposit_of(1000 + number, 1024);
        elsewhere.owner = owner(2);
        elsewhere.token = token(number);
        store.deposit(elsewhere, NOW).await.unwrap();
    }
    let arrived: Vec<_> = (0..COUNT).map(id).collect();
    let set: BTreeSet<_> = arrived.iter().copied().collect();
    for limit in [0, 4096, 10_000, 1 << 20] {
        let all = collect(&*other, 1, limit).await;
        let ids: Vec<_> = all.iter().map(|(id, _)| *id).collect();
        assert_eq!(ids.len() as u64, COUNT, "limit {limit}");
        assert_eq!(ids.iter().copied().collect::<BTreeSet<_>>(), set);
        let place = |id| arrived.iter().position(|other| other == id).unwrap();
        let places: Vec<_> = ids.iter().map(place).collect();
        let rising = places.windows(2).filter(|pair| pair[0] < pair[1]).count();
        assert!((15..45).contains(&rising), "{places:?}");
    }
    let nobody = store.letters(owner(3), None, 4096).await.unwrap();
    assert!(nobody.letters.is_empty() && nobody.next.is_none());
}

pub(super) async fn a_cursor_outlives_its_letter(backend: &dyn Backend) {
    let [store, _] = open(backend).await;
    open_box(&*store, 1, 20).await;
    for number in 0..20 {
        store.deposit(deposit(number), NOW).await.unwrap();
    }
    let (mut seen, mut after) = (BTreeSet::new(), None);
    loop {
        let page = store.letters(owner(1), after, 3 * 1024).await.unwrap();
        let ids: Vec<_> = page.letters.iter().map(|(id, _)| *id).collect();
        assert!(ids.iter().all(|id| seen.insert(*id)));
        store.remove(owner(1), ids).await.unwrap();
        match page.next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    assert_eq!(seen.len(), 20);
    assert_eq!(store.totals().await.unwrap().letters, 0);
}

pub(super) async fn what_was_acknowledged_is_gone(backend: &dyn Backend) {
    let [store, other] = open(backend).await;
    open_box(&*store, 1, 4).await;
    for number in 0..3 {
        store.deposit(deposit(number), NOW).await.unwrap();
    }
    let unknown = id(77);
    store
        .remove(owner(1), vec![id(0), unknown, id(2), id(0)])
        .await
        .unwrap();
    assert_eq!(
        collect(&*other, 1, 1 << 20).await,
        [(id(1), letter(1, 1024))]
    );
    store.remove(owner(2), vec![id(1)]).await.unwrap();
    assert_eq!(
        store.totals().await.unwrap().letters,
        1,
        "another box's owner"
    );
    wait_for_tokens(&*store, 1).await;
    let outcome = other.deposit(deposit(0), NOW).await.unwrap();
    assert_eq!(
        outcome,
        Deposited::TokenUnknown,
        "its token is spent for good"
    );
}

pub(super) async fn letters_expire_by_the_hour(backend: &dyn Backend) {
    const HOUR: u64 = 60 * 60 * 1000;
    const WEEK: u64 = 7 * 24 * HOUR;
    let [store, other] = open(backend).await;
    open_box(&*store, 1, 4).await;
    store.deposit(deposit(0), NOW).await.unwrap();
    store.deposit(deposit(1), NOW + 3 * HOUR).await.unwrap();
    assert_eq!(store.purge(NOW, 100).await.unwrap(), 0);
    assert_eq!(store.purge(NOW + WEEK - HOUR, 100).await.unwrap(), 0);
    assert_eq!(store.purge(NOW + WEEK, 100).await.unwrap(), 1);
    assert_eq!(
        collect(&*other, 1, 1 << 20).await,
        [(id(1), letter(1, 1024))]
    );
    assert_eq!(other.purge(NOW + WEEK + 3 * HOUR, 100).await.unwrap(), 1);
    assert!(collect(&*store, 1, 1 << 20).await.is_empty());
    assert!(store.has_box(owner(1)).await.unwrap());
    wait_for_tokens(&*store, 2).await;
    assert_eq!(store.totals().await.unwrap().bytes, 0);
}

pub(super) async fn a_purge_keeps_to_its_budget(backend: &dyn Backend) {
    const LATER: u64 = NOW + 8 * 24 * 60 * 60 * 1000;
    let [store, _] = open(backend).await;
    open_box(&*store, 1, 30).await;
    for number in 0..25 {
        store.deposit(deposit(number), NOW).await.unwrap();
    }
    assert_eq!(store.purge(LATER, 0).await.unwrap(), 0);
    for left in [10, 10, 5] {
        assert_eq!(store.purge(LATER, 10).await.unwrap(), left);
    }
    assert_eq!(store.totals().await.unwrap().letters, 0);
}

pub(super) async fn a_removed_box_leaves_nothing(backend: &dyn Backend) {
    let [store, other] = open(backend).await;
    for number in [1, 2] {
        open_box(&*store, number, 320).await;
    }
    let deposits = (0..300).map(|number| store.deposit(deposit(number), NOW));
    join_all(deposits).await;
    let mut elsewhere = deposit(0);
    elsewhere.owner = owner(2);
    store.deposit(elsewhere, NOW).await.unwrap();
    assert!(store.remove_box(owner(1)).await.unwrap());
    let outcome = other.deposit(deposit(310), NOW).await.unwrap();
    assert_eq!(outcome, Deposited::TokenUnknown);
    let outcome = other.deposit(deposit(0), NOW).await.unwrap();
    assert_eq!(
        outcome,
        Deposited::TokenUnknown,
        "not even a replay is known"
    );
    store.register_box(owner(1)).await.unwrap();
    assert_eq!(other.token_count(owner(1)).await.unwrap(), 0);
    assert!(collect(&*other, 1, 1 << 20).await.is_empty());
    expect_totals(&*store, 2, 1, 1024).await;
}

pub(super) async fn owners_hear_of_arrivals(backend: &dyn Backend) {
    let [store, other] = open(backend).await;
    open_box(&*store, 1, 9).await;
    open_box(&*store, 2, 9).await;
    let (mut mine, mut others) = (store.subscribe(owner(1)), store.subscribe(owner(2)));
    for number in 0..2 {
        other.deposit(deposit(number), NOW).await.unwrap();
        let heard = tokio::time::timeout(Duration::from_secs(60), mine.changed()).await;
        assert!(heard.is_ok());
    }
    let quiet = tokio::time::timeout(Duration::from_millis(300), others.changed()).await;
    assert!(quiet.is_err(), "nothing came for the other");
}

pub(super) async fn what_was_stored_is_there_after_reopening(backend: &dyn Backend) {
    let [store, other] = open(backend).await;
    open_box(&*store, 1, 6).await;
    for number in 0..5 {
        store.deposit(deposit(number), NOW).await.unwrap();
    }
    store.remove(owner(1), vec![id(4)]).await.unwrap();
    wait_for_tokens(&*store, 1).await;
    let totals = store.totals().await.unwrap();
    drop((store, other));
    let [store, _] = open(backend).await;
    assert_eq!(store.totals().await.unwrap(), totals);
    let all: BTreeMap<_, _> = collect(&*store, 1, 1 << 20).await.into_iter().collect();
    assert_eq!(all.len(), 4);
    assert!((0..4).all(|number| all[&id(number)] == letter(number, 1024)));
    let replay = store.deposit(deposit(0), NOW).await.unwrap();
    assert_eq!(replay, Deposited::AlreadyThere);
    let mut spent = deposit(9);
    spent.token = token(0);
    let outcome = store.deposit(spent, NOW).await.unwrap();
    assert_eq!(outcome, Deposited::TokenUnknown);
    let outcome = store.deposit(deposit(5), NOW).await.unwrap();
    assert_eq!(outcome, Deposited::Stored);
}
