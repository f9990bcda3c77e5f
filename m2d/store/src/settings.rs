//! Single values: the id of the event log, bound ports, the progress of the search index.

use super::{Store, StoreError};
use rusqlite::OptionalExtension;

impl Store {
    /// Returns the value of a numeric setting.
    pub fn number(&self, key: &str) -> Result<Option<i64>, StoreError> {
        Ok(self
            .connection
            .prepare_cached("SELECT value FROM settings WHERE key = ?1")?
            .query_row([key], |row| row.get(0))
            .optional()?)
    }

    /// Sets a numeric setting.
    pub fn set_number(&self, key: &str, value: i64) -> Result<(), StoreError> {
        self.connection
            .prepare_cached("INSERT OR REPLACE INTO settings VALUES (?1, ?2)")?
            .execute((key, value))?;
        Ok(())
    }

    /// Returns the latest time in the store in Unix milliseconds, 0 for a new store.
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
