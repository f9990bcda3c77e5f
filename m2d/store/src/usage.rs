//! The amount of stored data of each contact. Triggers keep the counters up to date, so that
//! queries need not count.

use super::unbits;
use super::{Store, StoreError};
use crate::ContactRowId;
use rusqlite::{OptionalExtension, Row};

/// The amount of stored data of one contact.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// The number of messages that wait for the contact's acknowledgement.
    pub queued: u64,
    /// The number of received rows, including those that are not shown.
    pub received: u64,
    /// The bytes of received content that is still stored.
    pub received_bytes: u64,
    /// The bytes of content in both directions.
    pub content_bytes: u64,
}

/// The columns of a [`Usage`].
pub(super) const USAGE: &str = "queued, received, received_bytes, content_bytes";

/// Parses the columns of [`USAGE`], starting at column `at`.
pub(super) fn parse_usage(row: &Row<'_>, at: usize) -> Result<Usage, rusqlite::Error> {
    Ok(Usage {
        queued: unbits(row.get(at)?),
        received: unbits(row.get(at + 1)?),
        received_bytes: unbits(row.get(at + 2)?),
        content_bytes: unbits(row.get(at + 3)?),
    })
}

impl Store {
    /// Returns the usage of one contact.
    pub fn usage_of(&self, contact: ContactRowId) -> Result<Usage, StoreError> {
        let found = self
            .connection
            .prepare_cached(&format!("SELECT {USAGE} FROM usage WHERE contact = ?1"))?
            .query_row([contact], |row| parse_usage(row, 0))
            .optional()?;
        Ok(found.unwrap_or_default())
    }

    /// Returns the bytes of content of all contacts.
    pub fn content_bytes(&self) -> Result<u64, StoreError> {
        let sum: i64 = self
            .connection
            .prepare_cached("SELECT coalesce(sum(content_bytes), 0) FROM usage")?
            .query_row([], |row| row.get(0))?;
        Ok(unbits(sum))
    }
}
