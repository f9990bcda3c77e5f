//! The daemon's store: SQLite under SQLCipher, keyed from the identity (docs/spec/storage.md).
//!
//! One [`Store`] writes, in transactions that the engine begins and commits; any number of
//! [`Reader`]s read beside it. What is in the file is encrypted whole: who can't unlock the
//! identity learns neither content nor who talks to whom.

mod budgets;
mod contacts;
mod delivery;
mod events;
mod idempotency;
mod invitations;
mod letters;
mod lines;
mod mailboxes;
mod messages;
mod migrations;
mod outbox;
mod reader;
mod requests;
mod search;
mod settings;

pub use budgets::BudgetRow;
pub use contacts::{ContactRow, ContactState, KnownAddress, LookupSecrets};
pub use events::{EventKind, NewEvent};
pub use idempotency::Remembered;
pub use invitations::InvitationRow;
pub use letters::{LetterRow, Patience, Undeposited, WaitingSince};
pub use lines::{ContactLine, LineRow, LineTokens};
pub use mailboxes::{GrantRow, MailboxPolicy, MailboxRow, MailboxState, OfferRow};
pub use messages::{Gone, MessageHead, MessageKind, MessageRow, MessageState};
pub use outbox::OutboxPayload;
pub use reader::{EventRow, HistoryPage, Reader, ShownMessage};
pub use requests::{Origin, RequestRow};

use crate::sqlcipher;
use m2_crypto::Secret;
use rusqlite::{Connection, ErrorCode, OpenFlags};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;
use thiserror::Error;

/// The store's file name in the data directory.
const FILE_NAME: &str = "store.db";

/// The store can't do what was asked.
#[derive(Debug, Error)]
pub enum StoreError {
    /// SQLite's error. Its text names no content.
    #[error("the store failed: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// The identity does not open this store.
    #[error("the store does not belong to this identity, or is damaged")]
    WrongKey,
    /// The store was written by a newer version.
    #[error("the store was written by a newer version of m2d: install that version or newer")]
    TooNew,
    /// A row holds what no version of M2 writes.
    #[error("the store holds a damaged {0}")]
    Corrupt(&'static str),
}

impl StoreError {
    /// Whether the disk is full, or not writable any more.
    pub fn is_full(&self) -> bool {
        match self {
            Self::Sqlite(error) => matches!(
                error.sqlite_error_code(),
                Some(ErrorCode::DiskFull | ErrorCode::ReadOnly | ErrorCode::SystemIoFailure)
            ),
            _ => false,
        }
    }
}

/// The one writer.
#[derive(Debug)]
pub struct Store {
    connection: Connection,
}

/// Where a store is and how it opens; for making readers.
#[derive(Debug, Clone)]
pub struct StoreFile {
    path: PathBuf,
    key: Secret<32>,
}

impl StoreFile {
    /// The store of `data_dir` under `key`.
    pub fn new(data_dir: &Path, key: Secret<32>) -> Self {
        Self {
            path: data_dir.join(FILE_NAME),
            key,
        }
    }

    /// Opens the store for writing, makes it if it does not exist, and migrates it.
    pub fn open(&self) -> Result<Store, StoreError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut connection = self.connect(flags)?;
        sqlcipher::restrict_to_user(&self.path);
        connection.execute_batch(
            "PRAGMA journal_mode = WAL;
             PRAGMA synchronous = FULL;
             PRAGMA secure_delete = FAST;
             PRAGMA foreign_keys = ON;
             PRAGMA wal_autocheckpoint = 4000;
             PRAGMA journal_size_limit = 33554432;
             PRAGMA cache_size = -16384;",
        )?;
        migrations::run(&mut connection)?;
        Ok(Store { connection })
    }

    /// Opens a reader beside the writer.
    pub fn open_reader(&self) -> Result<Reader, StoreError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        Ok(Reader::new(self.connect(flags)?))
    }

    fn connect(&self, flags: OpenFlags) -> Result<Connection, StoreError> {
        let connection = Connection::open_with_flags(&self.path, flags)?;
        self.unlock(&connection)
            .map_err(|error| match error.sqlite_error_code() {
                Some(ErrorCode::NotADatabase) => StoreError::WrongKey,
                _ => StoreError::Sqlite(error),
            })?;
        Ok(connection)
    }

    fn unlock(&self, connection: &Connection) -> Result<(), rusqlite::Error> {
        sqlcipher::unlock(connection, &self.key)?;
        connection.busy_timeout(Duration::from_secs(5))?;
        connection.set_prepared_statement_cache_capacity(96);
        connection.execute_batch("PRAGMA cache_size = -2048; PRAGMA temp_store = MEMORY;")?;
        // The first read tells whether the key fits; a pragma may have been that already.
        connection.query_row("SELECT count(*) FROM sqlite_master", [], |_| Ok(()))
    }
}

impl Store {
    /// Gives the memory of cached pages back: after a burst, once it is quiet.
    pub fn shrink(&self) -> Result<(), StoreError> {
        self.run("PRAGMA shrink_memory")
    }

    /// Begins the transaction of a batch.
    pub fn begin(&self) -> Result<(), StoreError> {
        self.run("BEGIN IMMEDIATE")
    }

    /// Makes everything since [`Self::begin`] durable.
    pub fn commit(&self) -> Result<(), StoreError> {
        self.run("COMMIT")
    }

    /// Takes everything since [`Self::begin`] back. SQLite may have done so already.
    pub fn roll_back(&self) {
        if !self.connection.is_autocommit() {
            let _ = self.run("ROLLBACK");
        }
    }

    fn run(&self, sql: &str) -> Result<(), StoreError> {
        self.connection.prepare_cached(sql)?.execute([])?;
        Ok(())
    }
}

/// A time or count for a column. SQLite's integers are signed; none of ours reaches 2^63.
fn int(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// A number of 64 random bits for a column: all of them, two's complement.
fn bits(value: u64) -> i64 {
    i64::from_ne_bytes(value.to_ne_bytes())
}

/// The number that [`bits`] or [`int`] stored.
fn unbits(value: i64) -> u64 {
    u64::from_ne_bytes(value.to_ne_bytes())
}

fn array<const N: usize>(bytes: &[u8], what: &'static str) -> Result<[u8; N], StoreError> {
    bytes.try_into().map_err(|_| StoreError::Corrupt(what))
}

/// Addresses as one text.
fn join<A: ToString>(addresses: &[A]) -> String {
    let texts: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    texts.join(" ")
}

/// The addresses that [`join`] wrote.
fn split<A: FromStr>(text: &str) -> Result<Vec<A>, StoreError> {
    let parse = |part: &str| part.parse().map_err(|_| StoreError::Corrupt("address"));
    text.split_whitespace().map(parse).collect()
}

#[cfg(test)]
pub(crate) mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// A store in a directory that lives as long as the test.
    pub(crate) fn scratch() -> (tempfile::TempDir, Store) {
        let dir = tempfile::tempdir().unwrap();
        let file = StoreFile::new(dir.path(), Secret::new([7; 32]));
        let store = file.open().unwrap();
        (dir, store)
    }

    #[test]
    fn another_key_is_refused() {
        let (dir, store) = scratch();
        drop(store);
        let other = StoreFile::new(dir.path(), Secret::new([8; 32]));
        assert!(matches!(other.open(), Err(StoreError::WrongKey)));
    }

    #[test]
    fn a_newer_store_is_refused() {
        let (dir, store) = scratch();
        store
            .connection
            .execute_batch("PRAGMA user_version = 9999")
            .unwrap();
        drop(store);
        let again = StoreFile::new(dir.path(), Secret::new([7; 32])).open();
        assert!(matches!(again, Err(StoreError::TooNew)));
    }

    #[test]
    fn numbers_of_64_bits_survive() {
        for value in [0, 1, u64::MAX, 1 << 63] {
            assert_eq!(unbits(bits(value)), value);
        }
    }
}
