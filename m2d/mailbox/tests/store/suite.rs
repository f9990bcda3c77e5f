//! The guarantees of every mailbox store.

mod keeping;

use crate::letters::{NOW, collect, deposit, deposit_of, id, letter, open_box, owner, token};
use bytes::Bytes;
use futures::future::{BoxFuture, join_all};
use keeping::*;
use m2_mailbox::store::{
    Deposited, LETTER_SIZES, Limits, MailboxError, MailboxStore, Registered, TokensAdded, Totals,
};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// A newly created store: a directory, or streams of a cluster.
pub(crate) trait Backend: Send + Sync {
    /// Opens two front ends of the store, or the same one twice if it allows only one.
    fn open(&self, limits: Limits) -> BoxFuture<'_, [Arc<dyn MailboxStore>; 2]>;
}

/// A check of one guarantee.
pub(crate) type Check = for<'a> fn(&'a dyn Backend) -> BoxFuture<'a, ()>;

macro_rules! checks {
    ($($name:ident),* $(,)?) => {
        /// All checks, by name.
        pub(crate) const ALL: &[(&str, Check)] =
            &[$((stringify!($name), |backend| Box::pin($name(backend)))),*];
    };
}

checks!(
    boxes_come_and_go,
    boxes_are_bounded,
    tokens_are_counted_and_bounded,
    tokens_are_listed_in_pages,
    a_deposit_needs_a_token_of_that_box,
    a_replay_is_success_and_spends_nothing,
    a_token_carries_one_letter,
    a_letter_has_one_of_seven_sizes,
    a_full_box_is_a_state,
    a_box_is_bounded_in_bytes,
    a_full_server_is_a_state,
    one_token_at_two_front_ends_carries_one_letter,
    one_letter_at_two_front_ends_is_there_once,
    pages_give_every_letter_once_in_no_order_of_arrival,
    a_cursor_outlives_its_letter,
    what_was_acknowledged_is_gone,
    letters_expire_by_the_hour,
    a_purge_keeps_to_its_budget,
    a_removed_box_leaves_nothing,
    owners_hear_of_arrivals,
    what_was_stored_is_there_after_reopening,
);

async fn open(backend: &dyn Backend) -> [Arc<dyn MailboxStore>; 2] {
    backend.open(Limits::default()).await
}

async fn boxes_come_and_go(backend: &dyn Backend) {
    let [store, other] = open(backend).await;
    assert!(!store.has_box(owner(1)).await.unwrap());
    assert_eq!(store.register_box(owner(1)).await.unwrap(), Registered::New);
    let again = other.register_box(owner(1)).await.unwrap();
    assert_eq!(again, Registered::AlreadyThere);
    assert!(other.has_box(owner(1)).await.unwrap());
    assert!(!store.has_box(owner(2)).await.unwrap());
    assert!(store.remove_box(owner(1)).await.unwrap());
    assert!(!store.remove_box(owner(1)).await.unwrap());
    assert!(!other.has_box(owner(1)).await.unwrap());
    assert_eq!(store.totals().await.unwrap(), Totals::default());
}

async fn boxes_are_bounded(backend: &dyn Backend) {
    let limits = Limits {
        boxes: 2,
        ..Limits::default()
    };
    let [store, _] = backend.open(limits).await;
    for number in 1..=2 {
        let made = store.register_box(owner(number)).await.unwrap();
        assert_eq!(made, Registered::New);
    }
    let refused = store.register_box(owner(3)).await.unwrap();
    assert_eq!(refused, Registered::ServerFull);
    let known = store.register_box(owner(2)).await.unwrap();
    assert_eq!(known, Registered::AlreadyThere);
    store.remove_box(owner(1)).await.unwrap();
    assert_eq!(store.register_box(owner(3)).await.unwrap(), Registered::New);
}

async fn tokens_are_counted_and_bounded(backend: &dyn Backend) {
    let limits = Limits {
        box_tokens: 10,
        ..Limits::default()
    };
    let [store, other] = backend.open(limits).await;
    let none = store.add_tokens(owner(1), vec![token(1)]).await.unwrap();
    assert_eq!(none, TokensAdded::NoBox);
    assert_eq!(store.token_count(owner(1)).await.unwrap(), 0);
    open_box(&*store, 1, 8).await;
    open_box(&*store, 2, 3).await;
    assert_eq!(other.token_count(owner(1)).await.unwrap(), 8);
    let known = (6..10).map(token).collect();
    let added = store.add_tokens(owner(1), known).await.unwrap();
    assert_eq!(added, TokensAdded::Added);
    let over = (9..11).map(token).collect();
    let added = store.add_tokens(owner(1), over).await.unwrap();
    assert_eq!(added, TokensAdded::TooMany);
    assert_eq!(store.token_count(owner(1)).await.unwrap(), 10);
    let withdrawn = (8..20).map(token).collect();
    store.remove_tokens(owner(1), withdrawn).await.unwrap();
    assert_eq!(store.token_count(owner(1)).await.unwrap(), 8);
    assert_eq!(store.token_count(owner(2)).await.unwrap(), 3);
}

async fn tokens_are_listed_in_pages(backend: &dyn Backend) {
    let [store, other] = open(backend).await;
    open_box(&*store, 1, 10).await;
    open_box(&*store, 2, 20).await;
    let mut expected: Vec<_> = (0..10).map(token).collect();
    expected.sort_unstable();
    let (mut listed, mut after) = (Vec::new(), None);
    loop {
        let page = other.tokens(owner(1), after, 4).await.unwrap();
        assert!(page.len() <= 4);
        after = page.last().copied();
        listed.extend(page.iter().copied());
        if page.len() < 4 {
            break;
        }
    }
    assert_eq!(listed, expected);
    let nobody = store.tokens(owner(3), None, 4).await.unwrap();
    assert!(nobody.is_empty());
}

async fn a_deposit_needs_a_token_of_that_box(backend: &dyn Backend) {
    let [store, _] = open(backend).await;
    let outcome = store.deposit(deposit(1), NOW).await.unwrap();
    assert_eq!(outcome, Deposited::TokenUnknown, "no box");
    open_box(&*store, 1, 3).await;
    store.register_box(owner(2)).await.unwrap();
    let outcome = store.deposit(deposit(7), NOW).await.unwrap();
    assert_eq!(outcome, Deposited::TokenUnknown, "not registered");
    let mut elsewhere = deposit(1);
    elsewhere.owner = owner(2);
    let outcome = store.deposit(elsewhere, NOW).await.unwrap();
    assert_eq!(outcome, Deposited::TokenUnknown, "another box's token");
    store.remove_tokens(owner(1), vec![token(2)]).await.unwrap();
    let outcome = store.deposit(deposit(2), NOW).await.unwrap();
    assert_eq!(outcome, Deposited::TokenUnknown, "withdrawn");
    let outcome = store.deposit(deposit(1), NOW).await.unwrap();
    assert_eq!(outcome, Deposited::Stored);
    assert_eq!(
        collect(&*store, 1, 1 << 20).await,
        [(id(1), letter(1, 1024))]
    );
    wait_for_tokens(&*store, 1).await;
}

async fn a_replay_is_success_and_spends_nothing(backend: &dyn Backend) {
    let [store, other] = open(backend).await;
    open_box(&*store, 1, 3).await;
    store.deposit(deposit(0), NOW).await.unwrap();
    for _ in 0..3 {
        let outcome = other.deposit(deposit(0), NOW + 1000).await.unwrap();
        assert_eq!(outcome, Deposited::AlreadyThere);
    }
    let mut fresh = deposit(0);
    fresh.token = token(1);
    let outcome = store.deposit(fresh, NOW).await.unwrap();
    assert_eq!(outcome, Deposited::AlreadyThere);
    wait_for_tokens(&*store, 2).await;
    assert_eq!(collect(&*store, 1, 1 << 20).await.len(), 1);
    // A letter id is unique within a box only.
    open_box(&*store, 2, 1).await;
    let mut elsewhere = deposit(0);
    elsewhere.owner = owner(2);
    let outcome = store.deposit(elsewhere, NOW).await.unwrap();
    assert_eq!(outcome, Deposited::Stored);
}

async fn a_token_carries_one_letter(backend: &dyn Backend) {
    let [store, other] = open(backend).await;
    open_box(&*store, 1, 1).await;
    store.deposit(deposit(0), NOW).await.unwrap();
    for front_end in [&store, &other] {
        let mut second = deposit(1);
        second.token = token(0);
        let outcome = front_end.deposit(second, NOW).await.unwrap();
        assert_eq!(outcome, Deposited::TokenUnknown);
    }
    assert_eq!(collect(&*store, 1, 1 << 20).await.len(), 1);
    wait_for_tokens(&*store, 0).await;
}

async fn a_letter_has_one_of_seven_sizes(backend: &dyn Backend) {
    let [store, _] = open(backend).await;
    open_box(&*store, 1, 20).await;
    for size in [0, 1023, 1025, 3 << 10, (64 << 10) + 1, 128 << 10] {
        let mut wrong = deposit(0);
        wrong.letter = Bytes::from(vec![1; size]);
        let refused = store.deposit(wrong, NOW).await;
        assert!(matches!(refused, Err(MailboxError::LetterSize)), "{size}");
    }
    for (number, size) in (0..).zip(LETTER_SIZES) {
        let outcome = store.deposit(deposit_of(number, size), NOW).await.unwrap();
        assert_eq!(outcome, Deposited::Stored, "{size}");
    }
    let all: BTreeMap<_, _> = collect(&*store, 1, 1 << 20).await.into_iter().collect();
    for (number, size) in (0..).zip(LETTER_SIZES) {
        assert_eq!(all[&id(number)], letter(number, size));
    }
    let bytes = LETTER_SIZES.iter().sum::<usize>() as u64;
    expect_totals(&*store, 1, 7, bytes).await;
}

async fn a_full_box_is_a_state(backend: &dyn Backend) {
    let limits = Limits {
        box_letters: 3,
        ..Limits::default()
    };
    let [store, _] = backend.open(limits).await;
    open_box(&*store, 1, 5).await;
    for number in 0..3 {
        let outcome = store.deposit(deposit(number), NOW).await.unwrap();
        assert_eq!(outcome, Deposited::Stored);
    }
    for _ in 0..2 {
        let outcome = store.deposit(deposit(3), NOW).await.unwrap();
        assert_eq!(outcome, Deposited::BoxFull);
    }
    let replay = store.deposit(deposit(2), NOW).await.unwrap();
    assert_eq!(replay, Deposited::AlreadyThere);
    let stranger = store.deposit(deposit(9), NOW).await.unwrap();
    assert_eq!(stranger, Deposited::TokenUnknown, "strangers learn nothing");
    store.remove(owner(1), vec![id(0)]).await.unwrap();
    let outcome = store.deposit(deposit(3), NOW).await.unwrap();
    assert_eq!(outcome, Deposited::Stored, "its token is still good");
}

async fn a_box_is_bounded_in_bytes(backend: &dyn Backend) {
    let limits = Limits {
        box_bytes: 70 << 10,
        ..Limits::default()
    };
    let [store, _] = backend.open(limits).await;
    open_box(&*store, 1, 5).await;
    open_box(&*store, 2, 5).await;
    let steps = [
        (0, 64, true),
        (1, 8, false),
        (2, 4, true),
        (3, 4, false),
        (3, 2, true),
    ];
    for (number, kib, fits) in steps {
        let outcome = store
            .deposit(deposit_of(number, kib << 10), NOW)
            .await
            .unwrap();
        let expected = if fits {
            Deposited::Stored
        } else {
            Deposited::BoxFull
        };
        assert_eq!(outcome, expected, "{kib} KiB");
    }
    let mut elsewhere = deposit_of(1, 8 << 10);
    elsewhere.owner = owner(2);
    let outcome = store.deposit(elsewhere, NOW).await.unwrap();
    assert_eq!(outcome, Deposited::Stored, "another box has room");
}

async fn a_full_server_is_a_state(backend: &dyn Backend) {
    let limits = Limits {
        bytes: 256 << 10,
        ..Limits::default()
    };
    let [store, _] = backend.open(limits).await;
    open_box(&*store, 1, 20).await;
    let mut stored = 0;
    let refused = loop {
        let outcome = store
            .deposit(deposit_of(stored, 64 << 10), NOW)
            .await
            .unwrap();
        match outcome {
            Deposited::Stored => stored += 1,
            other => break other,
        }
    };
    assert_eq!(refused, Deposited::ServerFull);
    // An engine may count its own overhead, so only all but the last letter must fit.
    assert!((3..=4).contains(&stored), "{stored} letters of 64 KiB");
    let replay = store.deposit(deposit_of(0, 64 << 10), NOW).await.unwrap();
    assert_eq!(replay, Deposited::AlreadyThere);
    store.remove(owner(1), vec![id(0)]).await.unwrap();
    let again = store
        .deposit(deposit_of(stored, 64 << 10), NOW)
        .await
        .unwrap();
    assert_eq!(again, Deposited::Stored, "its token is still good");
}

async fn one_token_at_two_front_ends_carries_one_letter(backend: &dyn Backend) {
    const ROUNDS: u64 = 25;
    let stores = open(backend).await;
    open_box(&*stores[0], 1, ROUNDS).await;
    for round in 0..ROUNDS {
        let attempts = (0..8).map(|attempt: u64| {
            let store = Arc::clone(&stores[attempt as usize % 2]);
            let mut rival = deposit(1000 * (round + 1) + attempt);
            rival.token = token(round);
            tokio::spawn(async move { store.deposit(rival, NOW).await.unwrap() })
        });
        let outcomes: Vec<_> = join_all(attempts).await;
        let outcomes: Vec<_> = outcomes.into_iter().map(Result::unwrap).collect();
        let count = |wanted| {
            outcomes
                .iter()
                .filter(|outcome| **outcome == wanted)
                .count()
        };
        assert_eq!(count(Deposited::Stored), 1, "{outcomes:?}");
        assert_eq!(count(Deposited::TokenUnknown), 7, "{outcomes:?}");
    }
    let all = collect(&*stores[1], 1, 1 << 20).await;
    assert_eq!(all.len() as u64, ROUNDS);
    wait_for_tokens(&*stores[0], 0).await;
}

async fn one_letter_at_two_front_ends_is_there_once(backend: &dyn Backend) {
    const ROUNDS: u64 = 25;
    let stores = open(backend).await;
    open_box(&*stores[0], 1, ROUNDS).await;
    for round in 0..ROUNDS {
        let attempts = (0..6).map(|attempt| {
            let store = Arc::clone(&stores[attempt % 2]);
            tokio::spawn(async move { store.deposit(deposit(round), NOW).await.unwrap() })
        });
        for outcome in join_all(attempts).await {
            let outcome = outcome.unwrap();
            assert!(matches!(
                outcome,
                Deposited::Stored | Deposited::AlreadyThere
            ));
        }
    }
    assert_eq!(collect(&*stores[1], 1, 1 << 20).await.len() as u64, ROUNDS);
    wait_for_tokens(&*stores[0], 0).await;
}

/// An engine may count up to half a KiB of overhead for each letter.
async fn expect_totals(store: &dyn MailboxStore, boxes: u64, letters: u64, bytes: u64) {
    let totals = store.totals().await.unwrap();
    assert_eq!((totals.boxes, totals.letters), (boxes, letters));
    assert!(
        (bytes..=bytes + 512 * letters).contains(&totals.bytes),
        "{totals:?}"
    );
}

/// A store may remove spent tokens after it has answered.
async fn wait_for_tokens(store: &dyn MailboxStore, wanted: u64) {
    for _ in 0..600 {
        if store.token_count(owner(1)).await.unwrap() == wanted {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("there are not {wanted} tokens");
}
