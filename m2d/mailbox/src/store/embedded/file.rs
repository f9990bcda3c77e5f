//! The file of the embedded store: opening and schema.

use super::keys;
use crate::store::MailboxError;
use m2_crypto::deposit::DepositNonce;
use m2_crypto::{PeerId, Secret};
use m2_sqlite::sqlcipher;
use rusqlite::{Connection, ErrorCode, OpenFlags, params};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The file name of the store in the data directory.
pub const FILE_NAME: &str = "mailbox.db";

/// The version of the schema.
const VERSION: i64 = 3;

/// The name of the setting that hashes nonces to keys of letters, 32 random bytes.
pub(super) const SALT: &str = "salt";

/// The name of the setting that is the key of spent marks, 32 random bytes.
pub(super) const MARK_SALT: &str = "mark salt";

/// The path and the key of the store.
#[derive(Debug, Clone)]
pub(super) struct StoreFile {
    path: PathBuf,
    key: Option<Secret<32>>,
}

impl StoreFile {
    pub(super) fn new(data_dir: &Path, key: Option<Secret<32>>) -> Self {
        Self {
            path: data_dir.join(FILE_NAME),
            key,
        }
    }

    /// Opens the file for writing. Creates it if it does not exist.
    pub(super) fn open(&self) -> Result<Connection, MailboxError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = self.connect(flags)?;
        sqlcipher::restrict_to_user(&self.path);
        // secure_delete overwrites deleted data
        // (docs/spec/mailbox-store.md#traces-of-deleted-data). The timeout is short
        // because deposits wait while a checkpoint waits for a reader. Sweeps checkpoint the log
        // concurrently with the writer; the writer does it itself only if no sweep runs.
        connection.execute_batch(
            "PRAGMA journal_mode = WAL;
             PRAGMA synchronous = FULL;
             PRAGMA secure_delete = ON;
             PRAGMA wal_autocheckpoint = 65536;
             PRAGMA cache_size = -16384;
             PRAGMA busy_timeout = 250;",
        )?;
        make_schema(&connection)?;
        Ok(connection)
    }

    /// Opens a reader that can be used concurrently with the writer.
    pub(super) fn open_reader(&self) -> Result<Connection, MailboxError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = self.connect(flags)?;
        connection.execute_batch("PRAGMA cache_size = -2048;")?;
        Ok(connection)
    }

    /// Opens a connection that checkpoints the log concurrently with the writer.
    pub(super) fn open_mover(&self) -> Result<Connection, MailboxError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = self.connect(flags)?;
        connection.execute_batch("PRAGMA cache_size = -64; PRAGMA synchronous = FULL;")?;
        Ok(connection)
    }

    fn connect(&self, flags: OpenFlags) -> Result<Connection, MailboxError> {
        let connection = sqlcipher::open(&self.path, flags)?;
        self.unlock(&connection)
            .map_err(|error| match error.sqlite_error_code() {
                Some(ErrorCode::NotADatabase) => MailboxError::WrongKey,
                _ => MailboxError::Sqlite(error),
            })?;
        Ok(connection)
    }

    fn unlock(&self, connection: &Connection) -> Result<(), rusqlite::Error> {
        if let Some(key) = &self.key {
            sqlcipher::unlock(connection, key)?;
        }
        connection.busy_timeout(Duration::from_secs(5))?;
        connection.execute_batch("PRAGMA temp_store = MEMORY;")?;
        // The first read fails if the key does not fit.
        connection.query_row("SELECT count(*) FROM sqlite_master", [], |_| Ok(()))
    }
}

/// Reads a secret setting.
pub(super) fn read_secret(connection: &Connection, name: &str) -> Result<Secret<32>, MailboxError> {
    let query = "SELECT value FROM settings WHERE name = ?1";
    let mut statement = connection.prepare(query)?;
    let mut rows = statement.query([name])?;
    let row = rows.next()?.ok_or(MailboxError::Corrupt("settings"))?;
    let value = row.get_ref(0)?.as_blob().ok();
    let secret = value.and_then(Secret::from_slice);
    secret.ok_or(MailboxError::Corrupt("salt"))
}

/// Creates the tables. Of a file of version 1, only the boxes are kept: its letters and tokens have
/// other formats, and its boxes have no keys. Of a file of version 2, everything is kept; its marks are
/// in another order (docs/spec/mailbox-store.md#the-embedded-store).
fn make_schema(connection: &Connection) -> Result<(), MailboxError> {
    let version = connection.query_row("PRAGMA user_version", [], |row| row.get::<_, i64>(0))?;
    if version == VERSION {
        return Ok(());
    }
    if !(0..VERSION).contains(&version) {
        return Err(MailboxError::TooNew);
    }
    let transaction = connection.unchecked_transaction()?;
    if version == 2 {
        reorder_marks(&transaction)?;
        transaction.pragma_update(None, "user_version", VERSION)?;
        return Ok(transaction.commit()?);
    }
    if version == 1 {
        transaction.execute_batch(
            "ALTER TABLE boxes RENAME TO old_boxes;
             DROP TABLE settings;
             DROP TABLE tokens;
             DROP TABLE letters;",
        )?;
    }
    transaction.execute_batch(include_str!("schema.sql"))?;
    transaction.execute_batch(include_str!("marks.sql"))?;
    if version == 1 {
        transaction.execute_batch(
            "INSERT INTO boxes (number, owner) SELECT number, owner FROM old_boxes;
             DROP TABLE old_boxes;",
        )?;
    }
    for name in [SALT, MARK_SALT] {
        let value = Secret::<32>::new(crate::store::random()?);
        transaction.execute(
            "INSERT INTO settings (name, value) VALUES (?1, ?2)",
            params![name, value.expose().as_slice()],
        )?;
    }
    transaction.pragma_update(None, "user_version", VERSION)?;
    transaction.commit()?;
    Ok(())
}

/// Moves the marks of a file of version 2, which are in the order of their nonces. Those of boxes that were
/// removed are dropped.
fn reorder_marks(connection: &Connection) -> Result<(), MailboxError> {
    connection.execute_batch(
        "DROP INDEX marks_by_period;
         ALTER TABLE marks RENAME TO old_marks;",
    )?;
    connection.execute_batch(include_str!("marks.sql"))?;
    let salt = read_secret(connection, SALT)?;
    let mut old = connection.prepare(
        "SELECT number, owner, nonce, mark, period FROM old_marks JOIN boxes ON number = box",
    )?;
    let mut insert = connection.prepare("INSERT INTO marks VALUES (?1, ?2, ?3, ?4)")?;
    let mut rows = old.query([])?;
    while let Some(row) = rows.next()? {
        let owner = PeerId::from_bytes(row.get(1)?);
        let nonce = DepositNonce::from_bytes(row.get(2)?);
        let key = keys::base(&salt, row.get(0)?, &owner, &nonce);
        let (mark, period): (Vec<u8>, u32) = (row.get(3)?, row.get(4)?);
        insert.execute(params![key, nonce.as_bytes(), mark, period])?;
    }
    drop((rows, insert));
    drop(old);
    Ok(connection.execute_batch("DROP TABLE old_marks;")?)
}
