//! Returns the space of deleted rows to the file system, in steps.
//!
//! SQLite keeps the pages of deleted rows for later rows. With `auto_vacuum = INCREMENTAL` the last
//! pages of the file can be moved into them and the file be truncated. A store that was created
//! without this setting is copied once.

use super::{Store, StoreError, StoreFile};
use m2_sqlite::sqlcipher;
use rusqlite::Connection;
use std::fs::{self, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The number of free pages that stay in the file for later rows: 1 MiB. Rows of the outbox are
/// frequently added and deleted.
const SPARE_PAGES: u32 = 256;
/// The value of `PRAGMA auto_vacuum` for a store that can return space in steps.
const INCREMENTAL: i64 = 2;

impl Store {
    /// Returns up to `pages` free pages to the file system, except those kept for later rows.
    /// Returns whether there are more.
    pub fn give_back(&self, pages: u32) -> Result<bool, StoreError> {
        let free: u32 = self.pragma("freelist_count")?;
        let beyond = free.saturating_sub(SPARE_PAGES);
        if beyond == 0 || self.pragma::<i64>("auto_vacuum")? != INCREMENTAL {
            return Ok(false);
        }
        let sql = format!("PRAGMA incremental_vacuum({})", beyond.min(pages));
        let mut statement = self.connection.prepare(&sql)?;
        let mut rows = statement.query([])?;
        // Each row stands for one page.
        while rows.next()?.is_some() {}
        Ok(beyond > pages)
    }

    /// Checkpoints the log into the store's file and truncates it, unless a reader is active.
    /// Afterwards the log holds no deleted data. Returns whether it was truncated. Must not be
    /// called in a transaction.
    pub fn empty_log(&self) -> Result<bool, StoreError> {
        self.connection.busy_timeout(Duration::ZERO)?;
        let busy = self
            .connection
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| {
                row.get::<_, i64>(0)
            });
        self.connection.busy_timeout(super::BUSY_TIMEOUT)?;
        Ok(busy? == 0)
    }

    fn pragma<T: rusqlite::types::FromSql>(&self, name: &str) -> Result<T, StoreError> {
        Ok(self
            .connection
            .pragma_query_value(None, name, |row| row.get(0))?)
    }
}

impl StoreFile {
    /// Returns a connection to a store that can shrink: the given one, or one to a copy that
    /// replaces a store created without the setting. If the disk has no space for a copy, the store
    /// stays unchanged and the next start tries again.
    pub(super) fn let_shrink(&self, connection: Connection) -> Result<Connection, StoreError> {
        let mode: i64 = connection.pragma_query_value(None, "auto_vacuum", |row| row.get(0))?;
        if mode == INCREMENTAL {
            return Ok(connection);
        }
        let copy = self.copy_path();
        let size = fs::metadata(&self.path).map_or(0, |metadata| metadata.len());
        tracing::info!(
            bytes = size,
            "copying the store once, so that it can shrink"
        );
        match self.write_copy(&connection, &copy) {
            Ok(()) => self.replace_by(connection, &copy),
            Err(error) => {
                tracing::warn!(
                    %error,
                    bytes = size,
                    "the store can't be copied and will not shrink: make room for a copy and restart"
                );
                remove_files(&copy);
                Ok(connection)
            }
        }
    }

    fn copy_path(&self) -> PathBuf {
        self.path.with_extension("db.new")
    }

    /// Writes the complete store to a new file under the same key.
    fn write_copy(&self, connection: &Connection, copy: &Path) -> Result<(), StoreError> {
        remove_files(copy);
        create_private(copy).map_err(unwritable)?;
        sqlcipher::attach(connection, copy, "copy", &self.key)?;
        let copied = export(connection);
        let detached = connection.execute_batch("DETACH DATABASE copy");
        copied?;
        detached?;
        OpenOptions::new()
            .write(true)
            .open(copy)
            .and_then(|file| file.sync_all())
            .map_err(unwritable)
    }

    /// Replaces the store by a complete copy. If the process is killed at any point, one of the two
    /// is at the store's path.
    fn replace_by(&self, connection: Connection, copy: &Path) -> Result<Connection, StoreError> {
        // The last connection to close checkpoints the log and removes it.
        connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
        connection.close().map_err(|(_, error)| error)?;
        fs::rename(copy, &self.path).map_err(unwritable)?;
        if let Some(directory) = self.path.parent() {
            let _ = m2_backup::private::sync_entries(directory);
        }
        self.connect_to_write()
    }
}

fn export(connection: &Connection) -> Result<(), StoreError> {
    let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    connection.execute_batch(
        "PRAGMA copy.auto_vacuum = INCREMENTAL;
         PRAGMA copy.synchronous = FULL;
         PRAGMA copy.cache_size = -16384;
         BEGIN;",
    )?;
    let copied = connection
        .query_row("SELECT sqlcipher_export('copy')", [], |_| Ok(()))
        .and_then(|()| connection.execute_batch(&format!("PRAGMA copy.user_version = {version}")));
    match copied {
        Ok(()) => connection.execute_batch("COMMIT")?,
        Err(error) => {
            let _ = connection.execute_batch("ROLLBACK");
            return Err(error.into());
        }
    }
    Ok(())
}

fn create_private(path: &Path) -> io::Result<()> {
    OpenOptions::new().write(true).create_new(true).open(path)?;
    sqlcipher::restrict_to_user(path);
    Ok(())
}

/// Removes the leftovers of an earlier attempt.
fn remove_files(copy: &Path) {
    for suffix in ["", "-journal", "-wal", "-shm"] {
        let mut name = copy.as_os_str().to_owned();
        name.push(suffix);
        let _ = fs::remove_file(name);
    }
}

fn unwritable(error: io::Error) -> StoreError {
    StoreError::Sqlite(rusqlite::Error::ToSqlConversionFailure(Box::new(error)))
}

#[cfg(test)]
mod tests;
