//! Checks the store in a backup.

use crate::FileError;
use m2_crypto::Secret;
use m2_sqlite::sqlcipher;
use rusqlite::{Connection, OpenFlags};
use std::path::Path;

/// Facts about a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoreFacts {
    /// The number of migrations applied to it.
    pub schema: u32,
    /// Number of contacts that both sides have accepted.
    pub contacts: u64,
    /// Number of messages visible to front-ends.
    pub messages: u64,
}

/// Opens a store that no daemon uses and checks all of it: that every page is authentic, and that
/// tables and indexes agree.
///
/// Errors: [`FileError::Store`].
pub fn check_store(path: &Path, key: &Secret<32>) -> Result<StoreFacts, FileError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = sqlcipher::open(path, flags).map_err(damaged)?;
    sqlcipher::unlock(&connection, key).map_err(damaged)?;
    for pragma in ["PRAGMA cipher_integrity_check", "PRAGMA integrity_check(1)"] {
        if let Some(finding) = finding(&connection, pragma).map_err(damaged)? {
            return Err(FileError::Store(finding));
        }
    }
    facts(&connection).map_err(damaged)
}

/// Returns the first problem that a check reports.
fn finding(connection: &Connection, pragma: &str) -> Result<Option<String>, rusqlite::Error> {
    let mut statement = connection.prepare(pragma)?;
    let mut rows = statement.query([])?;
    let finding: Option<String> = match rows.next()? {
        Some(row) => row.get(0)?,
        None => None,
    };
    Ok(finding.filter(|finding| finding != "ok"))
}

fn facts(connection: &Connection) -> Result<StoreFacts, rusqlite::Error> {
    let count = |sql: &str| {
        let count = connection.query_row(sql, [], |row| row.get::<_, i64>(0));
        count.map(i64::unsigned_abs)
    };
    Ok(StoreFacts {
        schema: connection.query_row("PRAGMA user_version", [], |row| row.get(0))?,
        contacts: count("SELECT count(*) FROM contacts WHERE state = 3")?,
        messages: count("SELECT count(*) FROM messages WHERE kind = 0")?,
    })
}

fn damaged(error: rusqlite::Error) -> FileError {
    FileError::Store(error.to_string())
}
