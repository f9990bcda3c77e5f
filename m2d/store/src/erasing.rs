//! Stepwise erasure of a removed contact: its outbox and, if the user wants, its history. A row
//! records the progress across restarts until the erasure is complete.

use super::{Gone, Store, StoreError};
use crate::{ContactRowId, MessageRowId};
use m2_delivery::MessageId;
use rusqlite::OptionalExtension;

/// The pending erasure of a contact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Erasure {
    /// The contact's row.
    pub contact: ContactRowId,
    /// The last message row whose content is erased; 0 for none. Messages up to it are no longer
    /// shown.
    pub history: i64,
    /// The last message row whose delivery is given up; 0 for none.
    pub outbox: i64,
    /// The last message row whose delivery was already given up.
    pub given_up: i64,
}

impl Erasure {
    /// Returns whether deliveries remain to be given up.
    pub const fn is_giving_up(&self) -> bool {
        self.given_up < self.outbox
    }
}

const COLUMNS: &str = "contact, history, outbox, given_up";

impl Store {
    /// Records that the contact's outbox is given up and, with `history`, that the content of all
    /// its messages is erased. Later messages are not affected.
    pub fn begin_erasure(&self, contact: ContactRowId, history: bool) -> Result<(), StoreError> {
        self.connection
            .prepare_cached(
                "INSERT INTO erasures(contact, history, outbox, given_up)
                 SELECT ?1, CASE WHEN ?2 THEN newest ELSE 0 END, newest, 0
                   FROM (SELECT coalesce(max(row), 0) AS newest FROM messages) WHERE true
                 ON CONFLICT(contact) DO UPDATE SET history = max(history, excluded.history),
                   outbox = excluded.outbox",
            )?
            .execute((contact, history))?;
        Ok(())
    }

    /// Returns the pending erasure of a contact.
    pub fn erasure_of(&self, contact: ContactRowId) -> Result<Option<Erasure>, StoreError> {
        self.erasure(
            &format!("SELECT {COLUMNS} FROM erasures WHERE contact = ?1"),
            [contact],
        )
    }

    /// Returns any pending erasure.
    pub fn next_erasure(&self) -> Result<Option<Erasure>, StoreError> {
        self.erasure(&format!("SELECT {COLUMNS} FROM erasures LIMIT 1"), [])
    }

    fn erasure(
        &self,
        sql: &str,
        parameters: impl rusqlite::Params,
    ) -> Result<Option<Erasure>, StoreError> {
        let mut statement = self.connection.prepare_cached(sql)?;
        let found = statement.query_row(parameters, |row| {
            Ok(Erasure {
                contact: row.get(0)?,
                history: row.get(1)?,
                outbox: row.get(2)?,
                given_up: row.get(3)?,
            })
        });
        Ok(found.optional()?)
    }

    /// Returns up to `limit` messages of the outbox whose delivery must be given up next, and
    /// advances past them.
    pub fn next_to_give_up(
        &self,
        erasure: &Erasure,
        limit: u32,
    ) -> Result<Vec<MessageId>, StoreError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT message, id, state FROM outbox WHERE contact = ?1 AND message > ?2
               AND message <= ?3 ORDER BY message LIMIT ?4",
        )?;
        let range = (erasure.contact, erasure.given_up, erasure.outbox, limit);
        let mut rows = statement.query(range)?;
        let mut ids = Vec::new();
        let mut last = erasure.outbox;
        let mut count = 0;
        while let Some(row) = rows.next()? {
            count += 1;
            last = row.get(0)?;
            // Messages that were given up before only wait for their acknowledgement.
            if matches!(row.get::<_, i64>(2)?, 1..=3 | 8) {
                ids.push(MessageId(row.get(1)?));
            }
        }
        if count < limit {
            last = erasure.outbox;
        }
        self.connection
            .prepare_cached("UPDATE erasures SET given_up = ?2 WHERE contact = ?1")?
            .execute((erasure.contact, last))?;
        Ok(ids)
    }

    /// Erases the content of up to `limit` messages of a removed contact. Returns the number
    /// erased.
    pub fn erase_history(&self, erasure: &Erasure, limit: u32) -> Result<u32, StoreError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT row FROM messages WHERE contact = ?1 AND kind = 0 AND gone < 2 AND row <= ?2
             ORDER BY row LIMIT ?3",
        )?;
        let rows =
            statement.query_map((erasure.contact, erasure.history, limit), |row| row.get(0))?;
        let rows: Vec<MessageRowId> = rows.collect::<Result<_, _>>()?;
        for row in &rows {
            self.erase_message(*row, Gone::Erased)?;
        }
        Ok(u32::try_from(rows.len()).unwrap_or(u32::MAX))
    }

    /// Records that an erasure is complete.
    pub fn end_erasure(&self, contact: ContactRowId) -> Result<(), StoreError> {
        self.connection
            .prepare_cached("DELETE FROM erasures WHERE contact = ?1")?
            .execute([contact])?;
        Ok(())
    }
}
