//! Letters, boxes and tokens for tests, all distinct and derived from small numbers.

use bytes::Bytes;
use m2_crypto::deposit::{BoxKey, DepositNonce, DepositToken, Period};
use m2_crypto::{PeerId, Secret, label};
use m2_mailbox::store::{Cursor, Deposit, MailboxStore};

/// A time in 2026 in Unix milliseconds, not at a full hour, on the last day of a period.
pub(crate) const NOW: u64 = 1_795_000_123_456;

/// The size of most letters, in bytes.
pub(crate) const SIZE: usize = 4 << 10;

pub(crate) fn owner(number: u64) -> PeerId {
    PeerId::from_bytes(label::hash("test box", &[&number.to_be_bytes()]))
}

/// Returns the key of box `number`.
pub(crate) fn key(number: u64) -> BoxKey {
    let hash = label::hash("test key", &[&number.to_be_bytes()]);
    BoxKey::new(Secret::new(hash))
}

pub(crate) fn nonce(number: u64) -> DepositNonce {
    let hash = label::hash("test nonce", &[&number.to_be_bytes()]);
    DepositNonce::from_bytes(hash[..16].try_into().unwrap())
}

/// Returns the period of [`NOW`], in which all tokens are made if nothing else is said.
pub(crate) fn period() -> Period {
    Period::at(NOW / 1_000)
}

/// Returns token `number` of box `of`.
pub(crate) fn token(of: u64, number: u64) -> DepositToken {
    key(of).token(&owner(of), nonce(number), period())
}

/// Returns a letter of `size` bytes in which no block repeats.
pub(crate) fn letter(number: u64, size: usize) -> Bytes {
    let block = |at: usize| label::hash("test letter", &[&number.to_be_bytes(), &at.to_be_bytes()]);
    (0..size / 32).flat_map(block).collect()
}

/// Returns a deposit of letter `number`, of [`SIZE`], with the token of the same number, for box 1.
pub(crate) fn deposit(number: u64) -> Deposit {
    deposit_of(number, SIZE)
}

pub(crate) fn deposit_of(number: u64, size: usize) -> Deposit {
    Deposit {
        letter: letter(number, size),
        ..deposit_to(1, number)
    }
}

/// Returns a deposit of letter `number` for box `of`.
pub(crate) fn deposit_to(of: u64, number: u64) -> Deposit {
    Deposit {
        owner: owner(of),
        token: token(of, number),
        letter: letter(number, SIZE),
    }
}

/// Returns a deposit of another letter with the token of `number`, for box 1.
pub(crate) fn rival(number: u64) -> Deposit {
    Deposit {
        letter: letter(!number, SIZE),
        ..deposit(number)
    }
}

/// Creates box `number` with its key.
pub(crate) async fn open_box(store: &dyn MailboxStore, number: u64) {
    let made = store.register_box(owner(number), key(number)).await;
    made.unwrap();
}

/// Returns all letters of a box, read page by page, in the store's order.
pub(crate) async fn collect(
    store: &dyn MailboxStore,
    number: u64,
    limit: usize,
) -> Vec<(DepositNonce, Bytes)> {
    let (mut all, mut after): (Vec<_>, Option<Cursor>) = (Vec::new(), None);
    loop {
        let page = store.letters(owner(number), after, limit).await.unwrap();
        assert!(page.letters.len() == 1 || bytes(&page.letters) <= limit);
        all.extend(page.letters);
        match page.next {
            Some(next) => after = Some(next),
            None => return all,
        }
    }
}

fn bytes(letters: &[(DepositNonce, Bytes)]) -> usize {
    letters.iter().map(|(_, letter)| letter.len()).sum()
}
