//! The file of the embedded store: opening and schema.

use crate::store::MailboxError;
use m2_crypto::Secret;
use m2_sqlite::sqlcipher;
use rusqlite::{Connection, ErrorCode, OpenFlags};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The file name of the store in the data directory.
pub const FILE_NAME: &str = "mailbox.db";

/// The only version of the schema.
const VERSION: i64 = 1;

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

fn make_schema(connection: &Connection) -> Result<(), MailboxError> {
    match connection.query_row("PRAGMA user_version", [], |row| row.get::<_, i64>(0))? {
        VERSION => return Ok(()),
        0 => {}
        _ => return Err(MailboxError::TooNew),
    }
    let transaction = connection.unchecked_transaction()?;
    transaction.execute_batch(include_str!("schema.sql"))?;
    let salt = Secret::<32>::new(crate::store::random()?);
    transaction.execute(
        "INSERT INTO settings (name, value) VALUES ('salt', ?1)",
        [salt.expose().as_slice()],
    )?;
    transaction.pragma_update(None, "user_version", VERSION)?;
    transaction.commit()?;
    Ok(())
}
