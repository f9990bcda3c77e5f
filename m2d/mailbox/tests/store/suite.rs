//! The guarantees of every mailbox store.

mod keeping;
mod spending;
mod tokens;

use crate::letters::{
    NOW, SIZE, collect, deposit, deposit_of, deposit_to, key, letter, nonce, open_box, owner, rival,
};
use bytes::Bytes;
use futures::future::{BoxFuture, join_all};
use keeping::*;
use m2_mailbox::store::{
    Deposited, LETTER_SIZES, Limits, MailboxError, MailboxStore, Registered, Totals,
};
use spending::*;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokens::*;

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
    a_deposit_needs_a_token_of_that_box,
    a_token_is_valid_by_its_period,
    a_new_key_ends_all_tokens_and_no_letter,
    a_letter_has_one_of_five_sizes,
    a_repetition_is_success_and_adds_nothing,
    a_nonce_carries_one_letter,
    a_nonce_is_unique_within_a_box_only,
    a_repetition_during_taking_adds_nothing,
    an_expired_letter_is_admitted_again,
    marks_end_with_their_period,
    marks_are_bounded,
    a_full_box_is_a_state,
    a_box_is_bounded_in_bytes,
    a_full_server_is_a_state,
    one_nonce_at_two_front_ends_carries_one_letter,
    one_letter_at_two_front_ends_is_there_once,
    pages_give_every_letter_once_in_no_order_of_arrival,
    a_cursor_outlives_its_letter,
    what_was_taken_is_gone,
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
    assert!(!store.set_key(owner(1), key(1)).await.unwrap());
    assert!(!store.has_box(owner(1)).await.unwrap());
    let made = store.register_box(owner(1), key(1)).await.unwrap();
    assert_eq!(made, Registered::New);
    let again = other.register_box(owner(1), key(1)).await.unwrap();
    assert_eq!(again, Registered::AlreadyThere);
    assert!(other.has_box(owner(1)).await.unwrap());
    assert!(other.set_key(owner(1), key(1)).await.unwrap());
    assert!(!store.has_box(owner(2)).await.unwrap());
    assert!(store.remove_box(owner(1)).await.unwrap());
    assert!(!store.remove_box(owner(1)).await.unwrap());
    assert!(!other.has_box(owner(1)).await.unwrap());
    assert!(!other.set_key(owner(1), key(1)).await.unwrap());
    assert_eq!(store.totals().await.unwrap(), Totals::default());
}

async fn boxes_are_bounded(backend: &dyn Backend) {
    let limits = Limits {
        boxes: 2,
        ..Limits::default()
    };
    let [store, _] = backend.open(limits).await;
    let register = async |number| {
        store
            .register_box(owner(number), key(number))
            .await
            .unwrap()
    };
    for number in 1..=2 {
        assert_eq!(register(number).await, Registered::New);
    }
    assert_eq!(register(3).await, Registered::ServerFull);
    assert!(!store.has_box(owner(3)).await.unwrap());
    assert_eq!(register(2).await, Registered::AlreadyThere);
    store.remove_box(owner(1)).await.unwrap();
    assert_eq!(register(3).await, Registered::New);
}

async fn a_letter_has_one_of_five_sizes(backend: &dyn Backend) {
    let [store, _] = open(backend).await;
    open_box(&*store, 1).await;
    for size in [0, 1 << 10, 2 << 10, 4095, 4097, 12 << 10, (64 << 10) + 1] {
        let mut wrong = deposit(0);
        wrong.letter = Bytes::from(vec![1; size]);
        let refused = store.deposit(wrong, NOW).await;
        assert!(matches!(refused, Err(MailboxError::LetterSize)), "{size}");
    }
    for (number, size) in (0..).zip(LETTER_SIZES) {
        stored(&*store, deposit_of(number, size), NOW).await;
    }
    let all: BTreeMap<_, _> = collect(&*store, 1, 1 << 20).await.into_iter().collect();
    for (number, size) in (0..).zip(LETTER_SIZES) {
        assert_eq!(all[&nonce(number)], letter(number, size));
    }
    let bytes = LETTER_SIZES.iter().sum::<usize>() as u64;
    expect_totals(&*store, 1, 5, bytes).await;
}

async fn a_full_box_is_a_state(backend: &dyn Backend) {
    let limits = Limits {
        box_letters: 3,
        ..Limits::default()
    };
    let [store, _] = backend.open(limits).await;
    open_box(&*store, 1).await;
    for number in 0..3 {
        stored(&*store, deposit(number), NOW).await;
    }
    for _ in 0..2 {
        let outcome = store.deposit(deposit(3), NOW).await.unwrap();
        assert_eq!(outcome, Deposited::BoxFull);
    }
    let repeated = store.deposit(deposit(2), NOW).await.unwrap();
    assert_eq!(repeated, Deposited::AlreadyThere);
    let second = store.deposit(rival(2), NOW).await.unwrap();
    assert_eq!(second, Deposited::Refused);
    let mut guess = deposit(9);
    guess.token = key(2).token(&owner(1), nonce(9), guess.token.period());
    let stranger = store.deposit(guess, NOW).await.unwrap();
    assert_eq!(stranger, Deposited::Refused, "strangers learn nothing");
    store.take(owner(1), vec![nonce(0)]).await.unwrap();
    stored(&*store, deposit(3), NOW).await;
}

async fn a_box_is_bounded_in_bytes(backend: &dyn Backend) {
    let limits = Limits {
        box_bytes: 76 << 10,
        ..Limits::default()
    };
    let [store, _] = backend.open(limits).await;
    open_box(&*store, 1).await;
    open_box(&*store, 2).await;
    let steps = [
        (0, 64, true),
        (1, 16, false),
        (2, 8, true),
        (3, 8, false),
        (3, 4, true),
        (4, 4, false),
    ];
    for (number, kib, fits) in steps {
        let deposit = deposit_of(number, kib << 10);
        let outcome = store.deposit(deposit, NOW).await.unwrap();
        let expected = if fits {
            Deposited::Stored
        } else {
            Deposited::BoxFull
        };
        assert_eq!(outcome, expected, "{kib} KiB");
    }
    stored(&*store, deposit_to(2, 1), NOW).await;
    store.take(owner(1), vec![nonce(0)]).await.unwrap();
    stored(&*store, deposit_of(1, 16 << 10), NOW).await;
}

async fn a_full_server_is_a_state(backend: &dyn Backend) {
    let limits = Limits {
        bytes: 256 << 10,
        ..Limits::default()
    };
    let [store, _] = backend.open(limits).await;
    open_box(&*store, 1).await;
    let mut count = 0;
    let refused = loop {
        let deposit = deposit_of(count, 64 << 10);
        match store.deposit(deposit, NOW).await.unwrap() {
            Deposited::Stored => count += 1,
            other => break other,
        }
    };
    assert_eq!(refused, Deposited::ServerFull);
    // An engine may count its own overhead, so only all but the last letter must fit.
    assert!((3..=4).contains(&count), "{count} letters of 64 KiB");
    let repeated = store.deposit(deposit_of(0, 64 << 10), NOW).await.unwrap();
    assert_eq!(repeated, Deposited::AlreadyThere);
    store.take(owner(1), vec![nonce(0)]).await.unwrap();
    stored(&*store, deposit_of(count, 64 << 10), NOW).await;
}

async fn one_nonce_at_two_front_ends_carries_one_letter(backend: &dyn Backend) {
    const ROUNDS: u64 = 25;
    let stores = open(backend).await;
    open_box(&*stores[0], 1).await;
    for round in 0..ROUNDS {
        let attempts = (0..8).map(|attempt: u64| {
            let store = Arc::clone(&stores[attempt as usize % 2]);
            let mut rival = deposit(round);
            rival.letter = letter(1000 * (round + 1) + attempt, SIZE);
            tokio::spawn(async move { store.deposit(rival, NOW).await.unwrap() })
        });
        let outcomes: Vec<_> = join_all(attempts).await;
        let outcomes: Vec<_> = outcomes.into_iter().map(Result::unwrap).collect();
        let count = |wanted| outcomes.iter().filter(|one| **one == wanted).count();
        assert_eq!(count(Deposited::Stored), 1, "{outcomes:?}");
        assert_eq!(count(Deposited::Refused), 7, "{outcomes:?}");
    }
    let all = collect(&*stores[1], 1, 1 << 20).await;
    assert_eq!(all.len() as u64, ROUNDS);
}

async fn one_letter_at_two_front_ends_is_there_once(backend: &dyn Backend) {
    const ROUNDS: u64 = 25;
    let stores = open(backend).await;
    open_box(&*stores[0], 1).await;
    for round in 0..ROUNDS {
        let attempts = (0..6).map(|attempt| {
            let store = Arc::clone(&stores[attempt % 2]);
            tokio::spawn(async move { store.deposit(deposit(round), NOW).await.unwrap() })
        });
        let outcomes = join_all(attempts).await.into_iter().map(Result::unwrap);
        let (new, repeated): (Vec<_>, Vec<_>) =
            outcomes.partition(|outcome| *outcome == Deposited::Stored);
        assert_eq!(new.len(), 1);
        assert_eq!(repeated, [Deposited::AlreadyThere; 5]);
    }
    assert_eq!(collect(&*stores[1], 1, 1 << 20).await.len() as u64, ROUNDS);
}

/// Deposits a letter that must be stored.
async fn stored(store: &dyn MailboxStore, deposit: m2_mailbox::store::Deposit, now_ms: u64) {
    let outcome = store.deposit(deposit, now_ms).await.unwrap();
    assert_eq!(outcome, Deposited::Stored);
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
