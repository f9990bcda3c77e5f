//! Letters, boxes and tokens for tests, all distinct and derived from small numbers.

use bytes::Bytes;
use m2_crypto::{PeerId, label};
use m2_mailbox::store::{Cursor, Deposit, LetterId, MailboxStore, TokenHash, TokensAdded};

/// A time in 2026 in Unix milliseconds, not at a full hour.
pub(crate) const NOW: u64 = 1_795_000_123_456;

pub(crate) fn owner(number: u64) -> PeerId {
    PeerId::from_bytes(label::hash("test box", &[&number.to_be_bytes()]))
}

pub(crate) fn token(number: u64) -> TokenHash {
    label::hash("test token", &[&number.to_be_bytes()])
}

pub(crate) fn id(number: u64) -> LetterId {
    let hash = label::hash("test id", &[&number.to_be_bytes()]);
    hash[..16].try_into().unwrap()
}

/// Returns a letter of `size` bytes in which no block repeats.
pub(crate) fn letter(number: u64, size: usize) -> Bytes {
    let block = |at: usize| label::hash("test letter", &[&number.to_be_bytes(), &at.to_be_bytes()]);
    (0..size / 32).flat_map(block).collect()
}

/// Returns a deposit of letter `number`, of 1 KiB, with the token of the same number, for box 1.
pub(crate) fn deposit(number: u64) -> Deposit {
    deposit_of(number, 1024)
}

pub(crate) fn deposit_of(number: u64, size: usize) -> Deposit {
    Deposit {
        owner: owner(1),
        token: token(number),
        id: id(number),
        letter: letter(number, size),
    }
}

/// Creates box `number` with tokens 0 to `tokens`.
pub(crate) async fn open_box(store: &dyn MailboxStore, number: u64, tokens: u64) {
    store.register_box(owner(number)).await.unwrap();
    let hashes = (0..tokens).map(token).collect();
    let added = store.add_tokens(owner(number), hashes).await.unwrap();
    assert_eq!(added, TokensAdded::Added);
}

/// Returns all letters of a box, read page by page, in the store's order.
pub(crate) async fn collect(
    store: &dyn MailboxStore,
    number: u64,
    limit: usize,
) -> Vec<(LetterId, Bytes)> {
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

fn bytes(letters: &[(LetterId, Bytes)]) -> usize {
    letters.iter().map(|(_, letter)| letter.len()).sum()
}
