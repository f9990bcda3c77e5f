//! What a mailbox server keeps, behind one trait: boxes, deposit tokens and letters (spec §9,
//! `docs/spec/mailbox-store.md`).
//!
//! Two stores implement it: [`EmbeddedStore`], one SQLite file, and [`JetStreamStore`], which
//! many front ends share over one NATS cluster. Of a letter both keep the box, the letter's id,
//! its bytes and the hour in which it expires: no arrival order, no exact time, no token.

mod bell;
mod embedded;
#[cfg(feature = "jetstream")]
mod jetstream;
mod late;
mod limits;

pub use bell::Arrivals;
pub use embedded::EmbeddedStore;
pub(crate) use embedded::FILE_NAME;
#[cfg(feature = "jetstream")]
pub use jetstream::{JetStreamOptions, JetStreamStore};
pub use late::LateStore;
pub use limits::Limits;

use crate::store::Fault;
use bytes::Bytes;
use futures::future::BoxFuture;
use m2_crypto::PeerId;
pub use m2_crypto::envelope::LETTER_SIZES;
use std::fmt;
use thiserror::Error;

/// How long a letter is kept at most, in milliseconds: 7 days, and less by what the last hour has
/// left (spec §9).
pub const KEPT_MS: u64 = 7 * 24 * HOUR_MS;

/// The hash under which the owner registered a deposit token. The store never sees the token.
pub type TokenHash = [u8; 32];

/// A letter's id: 16 random bytes that the sender chose before its first attempt.
pub type LetterId = [u8; 16];

/// What a store gives back, later.
pub type Answer<'a, T> = BoxFuture<'a, Result<T, MailboxError>>;

const HOUR_MS: u64 = 60 * 60 * 1000;

/// A mailbox server's store. Every method answers when what it did is durable.
///
/// A box is known by its owner's peer id. The caller has made sure that it speaks with the owner
/// before it calls anything but [`Self::deposit`]. `now_ms` is Unix time in milliseconds.
pub trait MailboxStore: Send + Sync + 'static {
    /// Whether it was reached since the start. Until then every call is
    /// [`MailboxError::Unavailable`].
    fn is_reached(&self) -> bool {
        true
    }

    /// What is wrong with its file, if it has one.
    fn fault(&self) -> Option<Fault> {
        None
    }

    /// Makes a box, empty and without tokens; an existing one stays as it is.
    fn register_box(&self, owner: PeerId) -> Answer<'_, Registered>;

    /// Removes a box with its letters and tokens. `false`: there was none.
    fn remove_box(&self, owner: PeerId) -> Answer<'_, bool>;

    /// Whether there is such a box.
    fn has_box(&self, owner: PeerId) -> Answer<'_, bool>;

    /// Registers tokens, all or, past [`Limits::box_tokens`], none. Known ones are kept once.
    fn add_tokens(&self, owner: PeerId, hashes: Vec<TokenHash>) -> Answer<'_, TokensAdded>;

    /// Withdraws tokens; unknown ones are passed over.
    fn remove_tokens(&self, owner: PeerId, hashes: Vec<TokenHash>) -> Answer<'_, ()>;

    /// How many unspent tokens a box has; 0 for an unknown box.
    fn token_count(&self, owner: PeerId) -> Answer<'_, u64>;

    /// The unspent tokens of a box in the order of their hashes, from `after` on, `limit` of them
    /// if there are so many.
    fn tokens(
        &self,
        owner: PeerId,
        after: Option<TokenHash>,
        limit: usize,
    ) -> Answer<'_, Vec<TokenHash>>;

    /// Stores a letter and spends its token, both or neither.
    fn deposit(&self, deposit: Deposit, now_ms: u64) -> Answer<'_, Deposited>;

    /// The letters of a box from `after` on, in an order that says nothing of their arrival:
    /// as many as fit in `limit_bytes`, at least one if there is any. A letter that arrives
    /// meanwhile may stand before the cursor: who wants all begins anew after the last page,
    /// until the first page is empty.
    fn letters(&self, owner: PeerId, after: Option<Cursor>, limit_bytes: usize)
    -> Answer<'_, Page>;

    /// Deletes letters that their owner has; unknown ids are passed over.
    fn remove(&self, owner: PeerId, ids: Vec<LetterId>) -> Answer<'_, ()>;

    /// Deletes up to `budget` letters whose hour has come, in steps that let deposits through.
    /// The count of deleted ones: less than `budget` means that none is left.
    fn purge(&self, now_ms: u64, budget: usize) -> Answer<'_, usize>;

    /// Erases what the engine still holds of deleted letters, as far as it can (see
    /// `docs/spec/mailbox-store.md`). To be called every second or two. `false`: it has to be
    /// called again, a reader was in the way.
    fn sweep(&self) -> Answer<'_, bool>;

    /// What the store holds.
    fn totals(&self) -> Answer<'_, Totals>;

    /// Tells when a letter comes into a box. Arrivals may be told together, and told once too
    /// often; a letter that was stored before the call is not told.
    fn subscribe(&self, owner: PeerId) -> Arrivals;
}

/// What somebody wants to leave in a box.
#[derive(Clone)]
pub struct Deposit {
    /// The box, by its owner.
    pub owner: PeerId,
    /// The hash of the token that came with it.
    pub token: TokenHash,
    /// The letter's id.
    pub id: LetterId,
    /// The letter: of one of [`LETTER_SIZES`].
    pub letter: Bytes,
}

/// Where a [`MailboxStore::register_box`] ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Registered {
    /// The box was made.
    New,
    /// There was such a box.
    AlreadyThere,
    /// [`Limits::boxes`] is reached.
    ServerFull,
}

/// Where a [`MailboxStore::add_tokens`] ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokensAdded {
    /// All are registered.
    Added,
    /// None was added: the box would have more than [`Limits::box_tokens`].
    TooMany,
    /// There is no such box.
    NoBox,
}

/// Where a deposit ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deposited {
    /// The letter is stored and its token spent.
    Stored,
    /// A letter of this id is in the box already: a replay, whatever its token.
    AlreadyThere,
    /// The token is not registered, was withdrawn or spent, or there is no such box: one answer,
    /// so that nobody learns which boxes exist.
    TokenUnknown,
    /// The box is full. The token is not spent on another letter.
    BoxFull,
    /// The server is full. The token is not spent on another letter.
    ServerFull,
}

/// Some letters of a box.
#[derive(Clone, Default)]
pub struct Page {
    /// The letters.
    pub letters: Vec<(LetterId, Bytes)>,
    /// Where the next page begins; `None` when this one is the last.
    pub next: Option<Cursor>,
}

/// A place in a box, of the store that gave it out. It outlives the letter it stands at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor(u128);

/// What a store holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Registered boxes.
    pub boxes: u64,
    /// Letters in all boxes.
    pub letters: u64,
    /// Bytes of all letters, with what the engine itself puts to them.
    pub bytes: u64,
}

/// A store can't do what was asked. Nothing was acknowledged that is not kept.
#[derive(Debug, Error)]
pub enum MailboxError {
    /// SQLite's error. Its text names no content.
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
    /// The store holds what no version of M2 writes.
    #[error("the mailbox store holds a damaged {0}")]
    Corrupt(&'static str),
    /// The configuration names no servers of a cluster.
    #[error("[mailbox] nats: a server is nats://host:port or nats://user:password@host:port")]
    Servers,
    /// The letter has none of the sizes a letter may have.
    #[error("a letter is exactly 1, 2, 4, 8, 16, 32 or 64 KiB long")]
    LetterSize,
    /// The disk is full. A deposit says [`Deposited::ServerFull`] instead.
    #[error("the disk of the mailbox store is full")]
    DiskFull,
    /// The file can't be written, and not for want of room.
    #[error("mailbox.db can't be used: {}", .0.warning())]
    Failed(Fault),
    /// The batch could not be written, or the NATS cluster does not answer: try again.
    #[error("the mailbox store is not available: {0}")]
    Unavailable(String),
}

impl MailboxError {
    /// What is wrong with the file of an embedded store.
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

    /// Whether it stays until a person acts.
    pub fn is_permanent(&self) -> bool {
        let fault = self.fault();
        matches!(
            fault,
            Some(Fault::Damaged | Fault::ReadOnly | Fault::WrongKey)
        ) || matches!(self, Self::TooNew | Self::Servers)
    }
}

impl Deposit {
    /// Errors: [`MailboxError::LetterSize`].
    fn check(&self) -> Result<(), MailboxError> {
        let fits = LETTER_SIZES.contains(&self.letter.len());
        fits.then_some(()).ok_or(MailboxError::LetterSize)
    }
}

/// Prints the size alone: whose letter it is, is nobody's business (spec §10).
impl fmt::Debug for Deposit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let size = self.letter.len();
        f.debug_struct("Deposit").field("size", &size).finish()
    }
}

/// Prints counts alone.
impl fmt::Debug for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (letters, last) = (self.letters.len(), self.next.is_none());
        f.debug_struct("Page")
            .field("letters", &letters)
            .field("last", &last)
            .finish()
    }
}

/// The hour, counted since 1970, at whose beginning a letter of `now_ms` is due: 7 days after the
/// deposit none is left.
fn expiry_hour(now_ms: u64) -> u32 {
    hours(now_ms.saturating_add(KEPT_MS) / HOUR_MS)
}

/// The last hour that is over at `now_ms`: letters that expire in it or before are due.
fn due_hour(now_ms: u64) -> u32 {
    hours(now_ms / HOUR_MS)
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

    #[test]
    fn a_letter_is_kept_for_seven_days_less_the_minutes_past_the_hour() {
        for now in [0, 1, HOUR_MS - 1, HOUR_MS, HOUR_MS + 1, 1_795_000_000_123] {
            let due = u64::from(expiry_hour(now)) * HOUR_MS;
            assert!(due <= now + KEPT_MS && due + HOUR_MS > now + KEPT_MS);
            assert!(due_hour(now + KEPT_MS - HOUR_MS) < expiry_hour(now));
            assert!(due_hour(now + KEPT_MS) >= expiry_hour(now));
        }
    }
}
