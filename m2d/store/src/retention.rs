//! Retention: messages that are erased because they are too old or their content exceeds the limit
//! on bytes.

use super::{Gone, Store, StoreError, int, unbits};
use crate::{ContactRowId, MessageRowId};
use rusqlite::OptionalExtension;

/// The setting that holds the last row examined for the limit on bytes.
const KEPT_FROM: &str = "kept from";

/// How far messages were examined, oldest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Looked {
    /// Up to this row; the rest must still be examined.
    UpTo(MessageRowId),
    /// Up to the first message that is kept.
    ToTheEnd,
}

impl Store {
    /// Sets for how many seconds a contact's messages are kept; `None` for the profile's setting.
    pub fn set_keep(&self, contact: ContactRowId, seconds: Option<u64>) -> Result<(), StoreError> {
        self.connection
            .prepare_cached("INSERT OR REPLACE INTO retention(contact, keep_s) VALUES (?1, ?2)")?
            .execute((contact, seconds.map(int)))?;
        Ok(())
    }

    /// Returns for how many seconds a contact's messages are kept by its own policy, if it has one.
    pub fn keep_of(&self, contact: ContactRowId) -> Result<Option<u64>, StoreError> {
        let found: Option<Option<i64>> = self
            .connection
            .prepare_cached("SELECT keep_s FROM retention WHERE contact = ?1")?
            .query_row([contact], |row| row.get(0))
            .optional()?;
        Ok(found.flatten().map(unbits))
    }

    /// Returns the row of the first contact at or after `row`.
    pub fn contact_from(&self, row: ContactRowId) -> Result<Option<ContactRowId>, StoreError> {
        Ok(self
            .connection
            .prepare_cached("SELECT row FROM contacts WHERE row >= ?1 ORDER BY row LIMIT 1")?
            .query_row([row], |row| row.get(0))
            .optional()?)
    }

    /// Erases a contact's messages after the row `after` that were stored before a time. Examines
    /// at most `limit` messages. Messages that wait for their recipient are kept.
    pub fn erase_old(
        &self,
        contact: ContactRowId,
        after: MessageRowId,
        before_ms: u64,
        limit: u32,
    ) -> Result<Looked, StoreError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT row, stored_ms, EXISTS (SELECT 1 FROM outbox WHERE message = messages.row)
             FROM messages WHERE contact = ?1 AND kind = 0 AND gone < 2 AND row > ?2
             ORDER BY row LIMIT ?3",
        )?;
        let rows = statement.query_map((contact, after, limit), |row| {
            Ok((row.get(0)?, unbits(row.get(1)?), row.get(2)?))
        })?;
        let rows: Vec<(MessageRowId, u64, bool)> = rows.collect::<Result<_, _>>()?;
        let mut last = after;
        for (row, stored_ms, waits) in &rows {
            // Rows are in the order of their times.
            if *stored_ms >= before_ms {
                return Ok(Looked::ToTheEnd);
            }
            if !waits {
                self.erase_message(*row, Gone::Erased)?;
            }
            last = *row;
        }
        Ok(looked(rows.len(), limit, last))
    }

    /// Erases the oldest messages in the store while more than `keep` bytes of content are stored.
    /// Examines at most `limit` rows. Messages that wait for their recipient are kept.
    pub fn erase_beyond(&self, keep: u64, limit: u32) -> Result<Looked, StoreError> {
        let mut excess = self.content_bytes()?.saturating_sub(keep);
        if excess == 0 {
            return Ok(Looked::ToTheEnd);
        }
        let after = MessageRowId::new(self.number(KEPT_FROM)?.unwrap_or(0));
        let mut statement = self.connection.prepare_cached(
            "SELECT row, kind = 0 AND gone < 2, coalesce(length(content), 0),
               EXISTS (SELECT 1 FROM outbox WHERE message = messages.row)
             FROM messages WHERE row > ?1 ORDER BY row LIMIT ?2",
        )?;
        let rows = statement.query_map((after, limit), |row| {
            Ok((row.get(0)?, row.get(1)?, unbits(row.get(2)?), row.get(3)?))
        })?;
        let rows: Vec<(MessageRowId, bool, u64, bool)> = rows.collect::<Result<_, _>>()?;
        let mut last = after;
        for (row, is_shown, bytes, waits) in &rows {
            if excess == 0 {
                break;
            }
            last = *row;
            if *is_shown && !waits {
                self.erase_message(*row, Gone::Erased)?;
                excess = excess.saturating_sub(*bytes);
            }
        }
        let looked = if excess == 0 {
            Looked::ToTheEnd
        } else {
            looked(rows.len(), limit, last)
        };
        // At the end, the next pass starts from the first row again, because skipped messages may
        // no longer wait.
        let at_end = excess > 0 && looked == Looked::ToTheEnd;
        self.set_number(KEPT_FROM, if at_end { 0 } else { last.number() })?;
        Ok(looked)
    }

    /// Returns the number of contacts that have reached the limit on rows or on bytes.
    pub fn contacts_beyond(&self, rows: u64, bytes: u64) -> Result<u64, StoreError> {
        let count: i64 = self
            .connection
            .prepare_cached(
                "SELECT count(*) FROM usage WHERE received >= ?1 OR received_bytes >= ?2",
            )?
            .query_row((int(rows), int(bytes)), |row| row.get(0))?;
        Ok(unbits(count))
    }
}

fn looked(count: usize, limit: u32, last: MessageRowId) -> Looked {
    if count < limit as usize {
        Looked::ToTheEnd
    } else {
        Looked::UpTo(last)
    }
}
