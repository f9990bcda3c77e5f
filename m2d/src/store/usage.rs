//! What is stored of each contact: counters that triggers keep up to date, so that nothing is
//! counted when somebody asks.

use super::unbits;
use super::{Store, StoreError};
use rusqlite::{OptionalExtension, Row};

/// How much is stored of one contact.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Own messages that wait for its acknowledgement.
    pub queued: u64,
    /// Rows of what it sent: messages, and what shows nothing.
    pub received: u64,
    /// Bytes of content that it sent and that are still here.
    pub received_bytes: u64,
    /// Bytes of content of both sides.
    pub content_bytes: u64,
}

/// The columns of a [`Usage`].
pub(super) const USAGE: &str = "queued, received, received_bytes, content_bytes";

/// Reads the columns of [`USAGE`] from column `at` on.
pub(super) fn parse_usage(row: &Row<'_>, at: usize) -> Result<Usage, rusqlite::Error> {
    Ok(Usage {
        queued: unbits(row.get(at)?),
        received: unbits(row.get(at + 1)?),
        received_bytes: unbits(row.get(at + 2)?),
        content_bytes: unbits(row.get(at + 3)?),
    })
}

impl Store {
    /// What is stored of one contact.
    pub fn usage_of(&self, contact: i64) -> Result<Usage, StoreError> {
        let found = self
            .connection
            .prepare_cached(&format!("SELECT {USAGE} FROM usage WHERE contact = ?1"))?
            .query_row([contact], |row| parse_usage(row, 0))
            .optional()?;
        Ok(found.unwrap_or_default())
    }

    /// Bytes of content of all contacts.
    pub fn content_bytes(&self) -> Result<u64, StoreError> {
        let sum: i64 = self
            .connection
            .prepare_cached("SELECT coalesce(sum(content_bytes), 0) FROM usage")?
            .query_row([], |row| row.get(0))?;
        Ok(unbits(sum))
    }
}
