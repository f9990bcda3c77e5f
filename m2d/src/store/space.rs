//! Space that deleted rows leave is given back to the file system, in steps.
//!
//! SQLite keeps the pages of deleted rows for later rows. With `auto_vacuum = INCREMENTAL` the
//! last pages of the file can be moved into them and the file be cut. A store that was made
//! without is copied once.

use super::{Store, StoreError, StoreFile};
use crate::sqlcipher;
use rusqlite::Connection;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Free pages that stay in the file for the next rows: 1 MiB. Rows of the outbox come and go.
const SPARE_PAGES: u32 = 256;
/// `PRAGMA auto_vacuum` of a store that can give space back step by step.
const INCREMENTAL: i64 = 2;

impl Store {
    /// Gives up to `pages` free pages back beyond those that stay for the next rows. Returns
    /// whether there are more.
    pub fn give_back(&self, pages: u32) -> Result<bool, StoreError> {
        let free: u32 = self.pragma("freelist_count")?;
        let beyond = free.saturating_sub(SPARE_PAGES);
        if beyond == 0 || self.pragma::<i64>("auto_vacuum")? != INCREMENTAL {
            return Ok(false);
        }
        let sql = format!("PRAGMA incremental_vacuum({})", beyond.min(pages));
        let mut statement = self.connection.prepare(&sql)?;
        let mut rows = statement.query([])?;
        // Every row is a page.
        while rows.next()?.is_some() {}
        Ok(beyond > pages)
    }

    /// Writes the log back to the store's file and empties it, if no reader is at work. Then nothing
    /// of what was deleted is left in it. Returns whether it did. Not within a transaction.
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
    /// Returns the store's connection in a file that can shrink: the same one, or one to a copy
    /// that takes the place of a store that was made without. On a disk without room for the copy
    /// the store stays as it is, and the next start tries again.
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

    /// Writes all of the store to a new file under the same key.
    fn write_copy(&self, connection: &Connection, copy: &Path) -> Result<(), StoreError> {
        remove_files(copy);
        create_private(copy).map_err(unwritable)?;
        sqlcipher::attach(connection, copy, "copy", &self.key)?;
        let copied = export(connection);
        let detached = connection.execute_batch("DETACH DATABASE copy");
        copied?;
        detached?;
        File::open(copy)
            .and_then(|file| file.sync_all())
            .map_err(unwritable)
    }

    /// Lets a complete copy take the store's place. Whatever is killed when, one of the two is at
    /// its path.
    fn replace_by(&self, connection: Connection, copy: &Path) -> Result<Connection, StoreError> {
        // The last connection to close writes the log back and removes it.
        connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
        connection.close().map_err(|(_, error)| error)?;
        fs::rename(copy, &self.path).map_err(unwritable)?;
        if let Some(directory) = self.path.parent() {
            let _ = File::open(directory).and_then(|directory| directory.sync_all());
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

/// Removes what an earlier attempt left.
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
