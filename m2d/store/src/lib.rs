#![doc = include_str!("../README.md")]

mod access;
mod budgets;
mod clients;
mod contacts;
mod copy;
mod delivery;
mod erasing;
mod error;
mod events;
mod idempotency;
mod ids;
mod inspect;
mod invitations;
mod letter_secrets;
mod letters;
mod lines;
mod mailboxes;
mod messages;
mod migrations;
mod outbox;
mod places;
mod reactions;
mod reader;
mod redating;
mod requests;
mod retention;
mod room;
mod search;
mod settings;
mod shared_events;
mod space;
mod suites;
mod tokens;
mod usage;

#[cfg(test)]
pub(crate) mod pages;
#[cfg(test)]
mod plans;

pub use access::{AccessTokenRow, TokenContactRow, TokenUseRow};
pub use clients::{ClientHead, ClientRow};
pub use contacts::{ContactRow, LookupSecrets};
pub use copy::{CopyError, CopyProgress};
pub use erasing::Erasure;
pub use error::StoreError;
pub use events::{EventKind, NewEvent};
pub use idempotency::Remembered;
pub use ids::{BoxRowId, ContactRowId, MessageRowId, RelayRowId};
pub use inspect::{Contents, Inspection, Schema};
pub use invitations::InvitationRow;
pub use letters::{LetterRow, Patience, SealedLetter, WaitingSince};
pub use lines::LineRow;
pub use mailboxes::{GrantRow, MailboxPolicy, MailboxRow, MailboxState};
pub use messages::{Gone, MessageHead, MessageKind, MessageRow, MessageState};
pub use outbox::OutboxPayload;
pub use reader::{DeadLetterRow, EventRow, HistoryPage, PageSize, Reader, ShownMessage, Span};
pub use redating::AHEAD_MS;
pub use requests::RequestRow;
pub use retention::Looked;
pub use room::{Room, free_bytes};
pub use shared_events::{DeadLetterTotals, EventHead, SharedRow, SharedState};
pub use tokens::{IssuedRow, IssuedState, Outstanding};
pub use usage::Usage;

use m2_crypto::Secret;
use m2_sqlite::sqlcipher;
use m2_sqlite::{Fault, StoreHealth};
use rusqlite::{Connection, ErrorCode, OpenFlags};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

/// The file name of the store in the data directory.
pub const FILE_NAME: &str = "store.db";
/// The file name of the store's write-ahead log.
pub const LOG_NAME: &str = "store.db-wal";
/// How long a connection waits for a lock that another one holds.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// The write-ahead log is checkpointed at 1,000 pages (4 MiB), and truncated to that size if a
/// reader made it grow beyond. A smaller log costs more flushes; a larger one takes disk space from
/// the user's data (docs/adr/0014).
const SETTINGS: &str = "PRAGMA auto_vacuum = INCREMENTAL;
     PRAGMA journal_mode = WAL;
     PRAGMA synchronous = FULL;
     PRAGMA secure_delete = ON;
     PRAGMA foreign_keys = ON;
     PRAGMA wal_autocheckpoint = 1000;
     PRAGMA journal_size_limit = 4194304;
     PRAGMA cache_size = -16384;";

/// The single writer of the store.
#[derive(Debug)]
pub struct Store {
    connection: Connection,
    begun: bool,
    health: Arc<StoreHealth>,
    room: Room,
}

/// The path and the key of a store, from which writer and readers are opened.
#[derive(Debug, Clone)]
pub struct StoreFile {
    path: PathBuf,
    key: Secret<32>,
    health: Arc<StoreHealth>,
}

impl StoreFile {
    /// Returns the store of `data_dir`, encrypted under `key`.
    pub fn new(data_dir: &Path, key: Secret<32>) -> Self {
        Self {
            path: data_dir.join(FILE_NAME),
            key,
            health: Arc::default(),
        }
    }

    /// Returns the known faults of the file.
    pub fn health(&self) -> &Arc<StoreHealth> {
        &self.health
    }

    /// Returns the path of the file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Opens the store for writing. Creates it if it does not exist, and migrates it.
    pub fn open(&self) -> Result<Store, StoreError> {
        self.open_writer().map_err(|error| self.explain(error))
    }

    fn open_writer(&self) -> Result<Store, StoreError> {
        let mut connection = self.connect_to_write()?;
        let begun = migrations::run(&mut connection)?;
        let mut store = Store::new(self.let_shrink(connection)?, self);
        store.begun = begun;
        // Checkpoints what the last run left in the log. If the disk is full, it stays there.
        let _ = store.empty_log();
        store.room.keep();
        Ok(store)
    }

    fn connect_to_write(&self) -> Result<Connection, StoreError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = self.connect(flags)?;
        sqlcipher::restrict_to_user(&self.path);
        connection.execute_batch(SETTINGS)?;
        Ok(connection)
    }

    /// Opens a reader, which can be used concurrently with the writer.
    pub fn open_reader(&self) -> Result<Reader, StoreError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        Ok(Reader::new(self.connect(flags)?))
    }

    fn connect(&self, flags: OpenFlags) -> Result<Connection, StoreError> {
        let connection = self.connect_unread(flags)?;
        match read_first(&connection) {
            Ok(()) => Ok(connection),
            Err(error) => Err(self.explain_first(error)),
        }
    }

    /// Opens a connection with the key set, but without checking that the key fits.
    fn connect_unread(&self, flags: OpenFlags) -> Result<Connection, StoreError> {
        self.connect_at(&self.path, flags)
    }

    /// Opens a connection to a file that nothing changes, without the files that SQLite otherwise
    /// creates next to it.
    fn connect_immutable(&self, flags: OpenFlags) -> Result<Connection, StoreError> {
        let mut uri = "file:".to_owned();
        for byte in self.path.as_os_str().as_encoded_bytes() {
            match byte {
                b'/' | b'-' | b'_' | b'.' => uri.push(char::from(*byte)),
                byte if byte.is_ascii_alphanumeric() => uri.push(char::from(*byte)),
                byte => uri.push_str(&format!("%{byte:02x}")),
            }
        }
        uri.push_str("?immutable=1");
        self.connect_at(Path::new(&uri), flags | OpenFlags::SQLITE_OPEN_URI)
    }

    fn connect_at(&self, path: &Path, flags: OpenFlags) -> Result<Connection, StoreError> {
        let open = || {
            let connection = sqlcipher::open(path, flags)?;
            sqlcipher::unlock(&connection, &self.key)?;
            connection.busy_timeout(BUSY_TIMEOUT)?;
            connection.set_prepared_statement_cache_capacity(96);
            Ok(connection)
        };
        open().map_err(|error: rusqlite::Error| self.explain_first(error))
    }

    fn explain_first(&self, error: rusqlite::Error) -> StoreError {
        let unreadable = error.sqlite_error_code() == Some(ErrorCode::NotADatabase);
        if unreadable && !self.fits_other_pages() {
            return StoreError::WrongKey(self.path.clone());
        }
        self.explain(StoreError::Sqlite(error))
    }

    /// Returns the fault that an error at the opening indicates.
    fn fault_of(&self, error: &rusqlite::Error) -> Fault {
        let free = self.path.parent().and_then(free_bytes);
        room::fault_at_opening(Fault::of_sqlite(error), free)
    }

    /// Adds the path of the file to an error of SQLite.
    fn explain(&self, error: StoreError) -> StoreError {
        match error {
            StoreError::Sqlite(source) => StoreError::Open {
                path: self.path.clone(),
                fault: self.fault_of(&source),
                source,
            },
            other => other,
        }
    }
}

/// Reads the schema, which fails if the key does not fit. A pragma may already have caused the
/// first read.
fn read_first(connection: &Connection) -> Result<(), rusqlite::Error> {
    connection.execute_batch("PRAGMA cache_size = -2048; PRAGMA temp_store = MEMORY;")?;
    connection.query_row("SELECT count(*) FROM sqlite_master", [], |_| Ok(()))
}

impl Store {
    /// Returns whether opening created the store, because the file was missing or empty.
    pub fn was_begun(&self) -> bool {
        self.begun
    }

    fn new(connection: Connection, file: &StoreFile) -> Self {
        Self {
            connection,
            begun: false,
            health: file.health.clone(),
            room: Room::of(&file.path),
        }
    }

    /// Returns the known faults of the file.
    pub fn health(&self) -> &StoreHealth {
        &self.health
    }

    /// Returns whether the disk was full, so that the reserve was given up.
    pub fn is_tight(&self) -> bool {
        self.room.is_tight()
    }

    /// Returns whether new data may be stored. After the disk was full, only operations that free
    /// space are allowed until the reserve can be restored or the file has at least as much unused
    /// space.
    pub fn has_room(&mut self) -> Result<bool, StoreError> {
        if !self.room.is_tight() {
            return Ok(true);
        }
        let has_room = self.room.keep() || self.has_unused_pages()?;
        if has_room {
            self.health.written();
        }
        Ok(has_room)
    }

    fn has_unused_pages(&self) -> Result<bool, StoreError> {
        let query = "PRAGMA freelist_count";
        let free = self.connection.query_row(query, [], |row| row.get(0))?;
        Ok(room::is_enough(unbits(free)))
    }

    /// Handles a full disk: gives up the reserve to make room for a checkpoint of the log, and
    /// restores it if possible.
    pub fn make_room(&mut self) {
        self.room.release();
        if let Err(error) = self.empty_log() {
            tracing::debug!(%error, "the log can't be emptied");
        }
        self.room.keep();
    }

    /// Runs after a batch on a full disk: checkpoints the log, so that the next batch can reuse its
    /// space, and restores the reserve if possible.
    pub fn regain_room(&mut self) -> Result<(), StoreError> {
        if self.room.is_tight() {
            self.empty_log()?;
        }
        if self.has_room()? {
            self.health.written();
        }
        Ok(())
    }

    /// Returns whether the file can't grow for lack of space, independent of the error that SQLite
    /// reported.
    pub fn is_out_of_room(&self) -> bool {
        self.room.is_exhausted()
    }

    /// Closes the file. If no reader is open, the file is complete without its write-ahead log.
    ///
    /// Errors: the log could not be checkpointed. It then holds data that is missing in the file.
    pub fn close(self) -> Result<(), StoreError> {
        self.connection.flush_prepared_statement_cache();
        let emptied = self.empty_log();
        let closed = self.connection.close();
        emptied?;
        closed.map_err(|(_, error)| StoreError::Sqlite(error))
    }

    /// Frees the memory of cached pages. Used when the store is idle after a burst.
    pub fn shrink(&self) -> Result<(), StoreError> {
        self.run("PRAGMA shrink_memory")
    }

    /// Begins the transaction of a batch.
    pub fn begin(&self) -> Result<(), StoreError> {
        self.run("BEGIN IMMEDIATE")
    }

    /// Commits everything since [`Self::begin`] durably.
    pub fn commit(&self) -> Result<(), StoreError> {
        self.run("COMMIT")
    }

    /// Rolls back everything since [`Self::begin`]. SQLite may already have done so.
    pub fn roll_back(&self) {
        if !self.connection.is_autocommit() {
            let _ = self.run("ROLLBACK");
        }
    }

    /// Returns the number of rows written since the store was opened, including rows of
    /// transactions that were rolled back.
    pub fn changes(&self) -> u64 {
        self.connection.total_changes()
    }

    fn run(&self, sql: &str) -> Result<(), StoreError> {
        self.connection.prepare_cached(sql)?.execute([])?;
        Ok(())
    }

    /// Returns whether the operating system lets this process write the file. SQLite's error is not
    /// reliable here: for a damaged first page it reports a read-only file.
    pub fn is_writable(&self) -> bool {
        let path = self.connection.path();
        path.is_some_and(|path| room::is_writable(Path::new(path)))
    }
}

/// Encodes a time or a count for a column. SQLite's integers are signed; no stored value reaches
/// 2^63.
fn int(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// Encodes 64 random bits for a column, in two's complement.
fn bits(value: u64) -> i64 {
    i64::from_ne_bytes(value.to_ne_bytes())
}

/// Decodes a number that [`bits`] or [`int`] encoded.
fn unbits(value: i64) -> u64 {
    u64::from_ne_bytes(value.to_ne_bytes())
}

fn array<const N: usize>(bytes: &[u8], what: &'static str) -> Result<[u8; N], StoreError> {
    bytes.try_into().map_err(|_| StoreError::Corrupt(what))
}

/// Joins addresses into one text.
fn join<A: ToString>(addresses: &[A]) -> String {
    let texts: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    texts.join(" ")
}

/// Parses the addresses that [`join`] wrote.
fn split<A: FromStr>(text: &str) -> Result<Vec<A>, StoreError> {
    let parse = |part: &str| part.parse().map_err(|_| StoreError::Corrupt("address"));
    text.split_whitespace().map(parse).collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Returns a store in a temporary directory that lives as long as the test.
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
        assert!(matches!(other.open(), Err(StoreError::WrongKey(_))));
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

    /// An idle reader must not prevent the log from being truncated.
    #[test]
    fn the_log_is_bounded_and_a_close_leaves_one_file() {
        let (dir, store) = scratch();
        let file = StoreFile::new(dir.path(), Secret::new([7; 32]));
        let reader = file.open_reader().unwrap();
        let log = dir.path().join("store.db-wal");
        let mut largest = 0;
        for round in 0..200 {
            store.begin().unwrap();
            for number in 0..2_000 {
                store
                    .set_number(&format!("number {number}"), round)
                    .unwrap();
            }
            store.commit().unwrap();
            reader.oldest_event().unwrap();
            largest = largest.max(std::fs::metadata(&log).unwrap().len());
        }
        assert!(largest < 6 << 20, "{largest}");
        drop(reader);
        store.close().unwrap();
        assert!(!log.exists());
        let copy = tempfile::tempdir().unwrap();
        std::fs::copy(file.path(), copy.path().join("store.db")).unwrap();
        let copied = StoreFile::new(copy.path(), Secret::new([7; 32])).open();
        assert_eq!(copied.unwrap().number("number 1999").unwrap(), Some(199));
    }

    #[test]
    fn a_start_checkpoints_the_log_of_the_last_run() {
        let (dir, store) = scratch();
        store.set_number("number", 1).unwrap();
        let log = dir.path().join("store.db-wal");
        assert!(std::fs::metadata(&log).unwrap().len() > 0);
        // The state that a killed process leaves behind.
        let killed = tempfile::tempdir().unwrap();
        for name in ["store.db", "store.db-wal"] {
            std::fs::copy(dir.path().join(name), killed.path().join(name)).unwrap();
        }
        let again = StoreFile::new(killed.path(), Secret::new([7; 32]))
            .open()
            .unwrap();
        let log = killed.path().join("store.db-wal");
        assert_eq!(std::fs::metadata(&log).unwrap().len(), 0);
        assert_eq!(again.number("number").unwrap(), Some(1));
    }

    #[test]
    fn numbers_of_64_bits_survive() {
        for value in [0, 1, u64::MAX, 1 << 63] {
            assert_eq!(unbits(bits(value)), value);
        }
    }
}
