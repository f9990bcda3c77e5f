//! Which tokens admit a letter.

use super::{Backend, open, stored};
use crate::letters::{
    NOW, SIZE, collect, deposit, deposit_to, key, letter, nonce, open_box, owner, period, token,
};
use m2_crypto::deposit::{BoxKey, DepositToken, PERIOD_S, Period, TOKEN_BYTES};
use m2_mailbox::store::{Deposit, Deposited, MailboxStore, Registered};
use std::time::{Duration, Instant};

const DAY_MS: u64 = 24 * 60 * 60 * 1_000;

/// The time within which a key that was set at one front end holds at all of them.
const SPREAD: Duration = Duration::from_secs(10);

pub(super) async fn a_deposit_needs_a_token_of_that_box(backend: &dyn Backend) {
    let [store, other] = open(backend).await;
    refused(&*store, deposit(1), "no box").await;
    open_box(&*store, 1).await;
    open_box(&*store, 2).await;
    let with = |token| Deposit {
        token,
        ..deposit(1)
    };
    for front_end in [&*store, &*other] {
        refused(front_end, deposit_to(3, 1), "a box that does not exist").await;
        refused(front_end, with(token(2, 1)), "a token of another box").await;
        let foreign = key(2).token(&owner(1), nonce(1), period());
        refused(front_end, with(foreign), "the key of another box").await;
        let elsewhere = key(1).token(&owner(2), nonce(1), period());
        refused(front_end, with(elsewhere), "made for another box").await;
        let good = token(1, 1).to_bytes();
        for at in [0, 15, 16, 17, 18, TOKEN_BYTES - 1] {
            let mut junk = good;
            junk[at] ^= 1;
            let junk = DepositToken::from_bytes(&junk).unwrap();
            refused(front_end, with(junk), "a changed bit").await;
        }
    }
    // None of these used the token up.
    stored(&*store, deposit(1), NOW).await;
    let all = collect(&*other, 1, 1 << 20).await;
    assert_eq!(all, [(nonce(1), letter(1, SIZE))]);
    assert!(collect(&*other, 2, 1 << 20).await.is_empty());
}

pub(super) async fn a_token_is_valid_by_its_period(backend: &dyn Backend) {
    let [store, _] = open(backend).await;
    open_box(&*store, 1).await;
    let (start, end) = (period().start_s() * 1_000, period().valid_until_s() * 1_000);
    assert_eq!(end - start, 2 * PERIOD_S * 1_000);
    // The number is that of the letter, so that each deposit is of another one.
    let cases = [
        (1, start - DAY_MS, Deposited::Stored),
        (2, start - DAY_MS - 1, Deposited::Refused),
        (3, start - 2 * DAY_MS, Deposited::Refused),
        (4, start, Deposited::Stored),
        (5, NOW, Deposited::Stored),
        (6, end - 1, Deposited::Stored),
        (7, end, Deposited::Refused),
        (8, end + 2 * PERIOD_S * 1_000, Deposited::Refused),
        // A repetition, too, needs a token that is valid.
        (5, end - 1, Deposited::AlreadyThere),
        (5, end, Deposited::Refused),
    ];
    for (number, now_ms, expected) in cases {
        let outcome = store.deposit(deposit(number), now_ms).await.unwrap();
        assert_eq!(outcome, expected, "letter {number}");
    }
    for (number, other, expected) in [
        (10, period().number() - 1, Deposited::Stored),
        (11, period().number() - 2, Deposited::Refused),
        // `NOW` is on the last day of its period.
        (12, period().number() + 1, Deposited::Stored),
        (13, period().number() + 2, Deposited::Refused),
        (14, 0, Deposited::Refused),
        (15, u16::MAX, Deposited::Refused),
    ] {
        let mut deposit = deposit(number);
        deposit.token = key(1).token(&owner(1), nonce(number), Period::new(other));
        let outcome = store.deposit(deposit, NOW).await.unwrap();
        assert_eq!(outcome, expected, "period {other}");
    }
}

pub(super) async fn a_new_key_ends_all_tokens_and_no_letter(backend: &dyn Backend) {
    let [store, other] = open(backend).await;
    open_box(&*store, 1).await;
    open_box(&*store, 2).await;
    for front_end in [&store, &other] {
        assert!(front_end.set_key(owner(1), key(1)).await.unwrap());
    }
    stored(&*store, deposit(0), NOW).await;
    stored(&*other, deposit(1), NOW).await;
    store.take(owner(1), vec![nonce(1)]).await.unwrap();

    assert!(store.set_key(owner(1), key(11)).await.unwrap());
    refused(&*store, deposit(2), "a token of the earlier key").await;
    refused(&*store, deposit(0), "a repetition with the earlier key").await;
    refused(&*store, deposit(1), "a repetition of a taken letter").await;
    refused_soon(&*other, 100).await;
    let left: Vec<_> = collect(&*other, 1, 1 << 20).await;
    assert!(left.contains(&(nonce(0), letter(0, SIZE))), "it waits");
    stored(&*other, deposit_under(&key(11), 3), NOW).await;
    stored(&*store, deposit_under(&key(11), 4), NOW).await;
    stored(&*other, deposit_to(2, 0), NOW).await;

    // A registration replaces the key, too.
    let again = other.register_box(owner(1), key(12)).await.unwrap();
    assert_eq!(again, Registered::AlreadyThere);
    refused(&*other, deposit_under(&key(11), 5), "the second key").await;
    // A front end that has not heard of the new key yet refuses none of its tokens.
    stored(&*store, deposit_under(&key(12), 5), NOW).await;
    stored(&*other, deposit_under(&key(12), 6), NOW).await;
}

/// Returns a deposit of letter `number` for box 1, with a token of this key.
fn deposit_under(key: &BoxKey, number: u64) -> Deposit {
    Deposit {
        token: key.token(&owner(1), nonce(number), period()),
        ..deposit(number)
    }
}

/// Waits until the tokens of box 1's first key are refused. Uses the tokens from `first` on.
async fn refused_soon(store: &dyn MailboxStore, first: u64) {
    let start = Instant::now();
    for number in first.. {
        match store.deposit(deposit(number), NOW).await.unwrap() {
            Deposited::Refused => return,
            outcome => assert_eq!(outcome, Deposited::Stored),
        }
        assert!(start.elapsed() < SPREAD, "the earlier key still holds");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn refused(store: &dyn MailboxStore, deposit: Deposit, why: &str) {
    let outcome = store.deposit(deposit, NOW).await.unwrap();
    assert_eq!(outcome, Deposited::Refused, "{why}");
}
