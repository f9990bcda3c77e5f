//! Single values: the number of the event log, bound ports, how far the search index has come.

use super::{Store, StoreError};
use rusqlite::OptionalExtension;

impl Store {
    /// A setting that is a number.
    pub fn number(&self, key: &str) -> Result<Option<i64>, StoreError> {
        Ok(self
            .connection
            .prepare_cached("SELECT value FROM settings WHERE key = ?1")?
            .query_row([key], |row| row.get(0))
            .optional()?)
    }

    /// Sets a setting that is a number.
    pub fn set_number(&self, key: &str, value: i64) -> Result<(), StoreError> {
        self.connection
            .prepare_cached("INSERT OR REPLACE INTO settings VALUES (?1, ?2)")?
            .execute((key, value))?;
        Ok(())
    }

    /// The latest time that the store has seen, Unix milliseconds; 0 when it is new.
    pub fn latest_time(&self) -> Result<u64, StoreError> {
        let latest: i64 = self.connection.query_row(
            "SELECT max(
               coalesce((SELECT time_ms FROM events ORDER BY seq DESC LIMIT 1), 0),
               coalesce((SELECT stored_ms FROM messages ORDER BY row DESC LIMIT 1), 0),
               coalesce((SELECT max(last_seen_ms) FROM contacts), 0))",
            [],
            |row| row.get(0),
        )?;
        Ok(u64::try_from(latest).unwrap_or(0))
    }
}
