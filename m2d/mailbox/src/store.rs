//! The store of a mailbox server, behind one trait: boxes, letters and spent marks
//! (docs/spec/mailbox-store.md).
//!
//! Two stores implement it: [`EmbeddedStore`], one SQLite file, and [`JetStreamStore`], which
//! several front ends share over one NATS cluster. For a letter both keep only the box, the nonce
//! and the period of its token, its bytes and the hour in which it expires: no arrival order and no
//! exact time. For a letter that was taken they keep the nonce, the period and a mark.

mod arrival_notifier;
mod embedded;
#[cfg(feature = "jetstream")]
mod jetstream;
mod lazy;
mod limits;

pub use arrival_notifier::Arrivals;
pub use embedded::EmbeddedStore;
pub use embedded::FILE_NAME;
#[cfg(feature = "jetstream")]
pub use jetstream::{JetStreamOptions, JetStreamStore};
pub use lazy::LazyStore;
pub use limits::Limits;

use bytes::Bytes;
use futures::future::BoxFuture;
use m2_crypto::PeerId;
use m2_crypto::deposit::{BoxKey, DepositNonce, DepositToken, Period};
pub use m2_crypto::letter::LETTER_SIZES;
pub use m2_net::wire::mailbox::KEPT_MS;
use m2_sqlite::Fault;
use std::fmt;
use thiserror::Error;

/// The future result of a store operation.
pub type Answer<'a, T> = BoxFuture<'a, Result<T, MailboxError>>;

const HOUR_MS: u64 = 60 * 60 * 1000;

/// The store of a mailbox server. Every method completes only once its changes are durable.
///
/// A box is identified by its owner's peer id. The caller must have authenticated the owner before
/// it calls any method except [`Self::deposit`]. `now_ms` is Unix time in milliseconds.
pub trait MailboxStore: Send + Sync + 'static {
    /// Returns whether the store was reached since the start. Until then every call fails with
    /// [`MailboxError::Unavailable`].
    fn is_reached(&self) -> bool {
        true
    }

    /// Returns the fault of the store's file, if it has a file.
    fn fault(&self) -> Option<Fault> {
        None
    }

    /// Creates an empty box with this key. The key of an existing box is replaced.
    fn register_box(&self, owner: PeerId, key: BoxKey) -> Answer<'_, Registered>;

    /// Sets the key of a box. Another key than before ends all tokens of the box. Returns whether
    /// the box exists.
    fn set_key(&self, owner: PeerId, key: BoxKey) -> Answer<'_, bool>;

    /// Removes a box with its letters and spent marks. Returns whether it existed.
    fn remove_box(&self, owner: PeerId) -> Answer<'_, bool>;

    /// Returns whether a box exists.
    fn has_box(&self, owner: PeerId) -> Answer<'_, bool>;

    /// Checks a token, and stores its letter if nothing was stored under the token's nonce.
    fn deposit(&self, deposit: Deposit, now_ms: u64) -> Answer<'_, Deposited>;

    /// Returns the letters of a box from `after` on, in an order that is independent of their
    /// arrival: the letters that fit in `limit_bytes`, at least one if there is any. A letter that
    /// arrives in the meantime may be positioned before the cursor: a caller that wants all letters
    /// must start again after the last page, until the first page is empty.
    fn letters(&self, owner: PeerId, after: Option<Cursor>, limit_bytes: usize)
    -> Answer<'_, Page>;

    /// Replaces letters that their owner has stored by spent marks. Unknown nonces are ignored.
    fn take(&self, owner: PeerId, nonces: Vec<DepositNonce>) -> Answer<'_, ()>;

    /// Deletes up to `budget` letters and spent marks that have expired, in steps that let deposits
    /// proceed. Returns the number of deleted ones: less than `budget` means that none are left.
    fn purge(&self, now_ms: u64, budget: usize) -> Answer<'_, usize>;

    /// Erases the engine's traces of deleted letters, as far as possible
    /// (docs/spec/mailbox-store.md#traces-of-deleted-data). Must be called every few
    /// seconds. Returns false if a reader blocked it and it must be called again.
    fn sweep(&self) -> Answer<'_, bool>;

    /// Returns the totals of the store.
    fn totals(&self) -> Answer<'_, Totals>;

    /// Subscribes to the arrival of letters in a box. Arrivals may be merged, and there may be
    /// spurious notifications; a letter that was stored before the call causes none.
    fn subscribe(&self, owner: PeerId) -> Arrivals;
}

/// A letter to be deposited in a box.
#[derive(Clone)]
pub struct Deposit {
    /// The owner of the box.
    pub owner: PeerId,
    /// The token. Its nonce is the letter's id.
    pub token: DepositToken,
    /// The letter, whose length is one of [`LETTER_SIZES`].
    pub letter: Bytes,
}

/// The result of [`MailboxStore::register_box`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Registered {
    /// The box was created.
    New,
    /// The box already existed, and has the new key now.
    AlreadyThere,
    /// [`Limits::boxes`] is reached.
    ServerFull,
}

/// The result of a deposit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deposited {
    /// The letter is stored.
    Stored,
    /// The same letter is in the box, or was taken from it: a repetition.
    AlreadyThere,
    /// The token is not valid for the box, it was used for another letter, or the box does not
    /// exist. The answer is the same for all of these, so that depositors can't find out which
    /// boxes exist.
    Refused,
    /// The box is full. The token can still be used for this letter.
    BoxFull,
    /// The server is full. The token can still be used for this letter.
    ServerFull,
}

/// A page of a box's letters.
#[derive(Clone, Default)]
pub struct Page {
    /// The letters.
    pub letters: Vec<(DepositNonce, Bytes)>,
    /// The start of the next page; `None` for the last page.
    pub next: Option<Cursor>,
}

/// A position in a box, specific to the store that returned it. It stays valid after the letter at
/// that position is deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor(u128);

/// The totals of a store.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// The number of registered boxes.
    pub boxes: u64,
    /// The number of letters in all boxes.
    pub letters: u64,
    /// The bytes of all letters, including the engine's overhead.
    pub bytes: u64,
}

/// The error of a store operation. Nothing is acknowledged that is not stored.
#[derive(Debug, Error)]
pub enum MailboxError {
    /// An error of SQLite. Its text contains no user data.
    #[error("mailbox.db failed: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// The key does not open the file.
    #[error(
        "mailbox.db does not open with this identity: it belongs to another identity.pem, or its \
         first page is damaged. Put back the identity.pem that belongs to it, or move the file \
         away to begin with empty boxes"
    )]
    WrongKey,
    /// The file was written by a newer version.
    #[error("the mailbox store was written by a newer version of m2d: install that or newer")]
    TooNew,
    /// The store holds data that no version of M2 writes.
    #[error("the mailbox store holds a damaged {0}")]
    Corrupt(&'static str),
    /// The configuration names no valid servers of a cluster.
    #[error("[mailbox] nats: a server is nats://host:port or nats://user:password@host:port")]
    Servers,
    /// The length of the letter is not one of the permitted sizes.
    #[error("a letter is exactly 4, 8, 16, 32 or 64 KiB long")]
    LetterSize,
    /// The disk is full. A deposit returns [`Deposited::ServerFull`] instead.
    #[error("the disk of the mailbox store is full")]
    DiskFull,
    /// The file can't be written for another reason than a full disk.
    #[error("mailbox.db can't be used: {}", .0.warning())]
    Failed(Fault),
    /// The batch could not be written, or the NATS cluster does not answer. A later attempt may
    /// succeed.
    #[error("the mailbox store is not available: {0}")]
    Unavailable(String),
}

impl MailboxError {
    /// Returns the fault of an embedded store's file.
    pub fn fault(&self) -> Option<Fault> {
        match self {
            Self::Sqlite(error) => Some(Fault::of_sqlite(error)),
            Self::WrongKey => Some(Fault::WrongKey),
            Self::Corrupt(_) => Some(Fault::Damaged),
            Self::DiskFull => Some(Fault::Full),
            Self::Failed(fault) => Some(*fault),
            _ => None,
        }
    }

    /// Returns whether the error persists until the user acts.
    pub fn is_permanent(&self) -> bool {
        let fault = self.fault();
        matches!(
            fault,
            Some(Fault::Damaged | Fault::ReadOnly | Fault::WrongKey)
        ) || matches!(self, Self::TooNew | Self::Servers)
    }
}

impl Deposit {
    /// Checks the size of the letter. Errors: [`MailboxError::LetterSize`].
    fn check(&self) -> Result<(), MailboxError> {
        let fits = LETTER_SIZES.contains(&self.letter.len());
        fits.then_some(()).ok_or(MailboxError::LetterSize)
    }
}

/// Prints only the size, so that logs do not reveal the owner (docs/threat-model.md#protections).
impl fmt::Debug for Deposit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let size = self.letter.len();
        f.debug_struct("Deposit").field("size", &size).finish()
    }
}

/// Prints only counts.
impl fmt::Debug for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (letters, last) = (self.letters.len(), self.next.is_none());
        f.debug_struct("Page")
            .field("letters", &letters)
            .field("last", &last)
            .finish()
    }
}

/// Returns the hour since 1970 at whose beginning a letter deposited at `now_ms` expires, at most 7
/// days later.
fn expiry_hour(now_ms: u64) -> u32 {
    hours(now_ms.saturating_add(KEPT_MS) / HOUR_MS)
}

/// Returns the hour of `now_ms`: letters whose expiry hour is at most this one have expired.
fn due_hour(now_ms: u64) -> u32 {
    hours(now_ms / HOUR_MS)
}

/// Returns the last period whose marks have expired at `now_s`, Unix time in seconds.
fn due_period(now_s: u64) -> Option<Period> {
    let current = Period::at(now_s).number();
    // A mark outlives its period by four weeks and a day.
    let earlier = [2, 3]
        .into_iter()
        .filter_map(|back| current.checked_sub(back));
    let mut periods = earlier.map(Period::new);
    periods.find(|period| period.mark_kept_until_s() <= now_s)
}

fn random<const N: usize>() -> Result<[u8; N], MailboxError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)
        .map_err(|error| MailboxError::Unavailable(format!("no randomness: {error}")))?;
    Ok(bytes)
}

fn hours(count: u64) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use m2_crypto::deposit::PERIOD_S;

    #[test]
    fn a_letter_is_kept_for_seven_days_rounded_down_to_the_hour() {
        for now in [0, 1, HOUR_MS - 1, HOUR_MS, HOUR_MS + 1, 1_795_000_000_123] {
            let due = u64::from(expiry_hour(now)) * HOUR_MS;
            assert!(due <= now + KEPT_MS && due + HOUR_MS > now + KEPT_MS);
            assert!(due_hour(now + KEPT_MS - HOUR_MS) < expiry_hour(now));
            assert!(due_hour(now + KEPT_MS) >= expiry_hour(now));
        }
    }

    #[test]
    fn the_last_due_period_is_exact_to_the_second() {
        assert_eq!(due_period(0), None);
        for number in [0, 1, 700] {
            let end = Period::new(number).mark_kept_until_s();
            assert_eq!(due_period(end), Some(Period::new(number)));
            assert_eq!(due_period(end - 1), number.checked_sub(1).map(Period::new));
            let next = due_period(end + PERIOD_S - 1);
            assert_eq!(next, Some(Period::new(number)));
        }
    }
}
