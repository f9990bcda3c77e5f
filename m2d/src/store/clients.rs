//! Named front-ends and their cursors in the event log.

use super::{Reader, Store, StoreError, int, unbits};
use rusqlite::OptionalExtension;

/// A named front-end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientRow {
    /// Its name.
    pub name: String,
    /// The number of the event after which its stream starts.
    pub cursor: i64,
    /// Kept events after its cursor.
    pub lag: u64,
    /// When it was last seen, Unix milliseconds.
    pub seen_ms: u64,
    /// It acknowledged an event.
    pub acknowledged: bool,
}

impl Store {
    /// A named front-end's cursor.
    pub fn client_cursor(&self, name: &str) -> Result<Option<i64>, StoreError> {
        Ok(self
            .connection
            .prepare_cached("SELECT cursor FROM clients WHERE name = ?1")?
            .query_row([name], |row| row.get(0))
            .optional()?)
    }

    /// How many named front-ends there are.
    pub fn client_count(&self) -> Result<u32, StoreError> {
        Ok(self
            .connection
            .query_row("SELECT count(*) FROM clients", [], |row| row.get(0))?)
    }

    /// Adds a named front-end that starts after event number `cursor`.
    pub fn add_client(&self, name: &str, cursor: i64, now_ms: u64) -> Result<(), StoreError> {
        self.connection
            .prepare_cached(
                "INSERT INTO clients(name, cursor, seen_ms, acknowledged) VALUES (?1, ?2, ?3, 0)",
            )?
            .execute((name, cursor, int(now_ms)))?;
        Ok(())
    }

    /// Moves a named front-end's cursor on; it never moves back.
    pub fn acknowledge_client(
        &self,
        name: &str,
        cursor: i64,
        now_ms: u64,
    ) -> Result<(), StoreError> {
        self.connection
            .prepare_cached(
                "UPDATE clients SET cursor = max(cursor, ?2), seen_ms = ?3, acknowledged = 1
                 WHERE name = ?1",
            )?
            .execute((name, cursor, int(now_ms)))?;
        Ok(())
    }

    /// Notes that a named front-end is there.
    pub fn see_client(&self, name: &str, now_ms: u64) -> Result<(), StoreError> {
        self.connection
            .prepare_cached("UPDATE clients SET seen_ms = ?2 WHERE name = ?1")?
            .execute((name, int(now_ms)))?;
        Ok(())
    }

    /// Forgets a named front-end. Returns whether there was one.
    pub fn remove_client(&self, name: &str) -> Result<bool, StoreError> {
        let mut delete = self
            .connection
            .prepare_cached("DELETE FROM clients WHERE name = ?1")?;
        Ok(delete.execute([name])? > 0)
    }

    /// Forgets front-ends that were last seen before `used_ms`, and those that never acknowledged
    /// an event and were last seen before `unused_ms`.
    pub fn prune_clients(&self, used_ms: u64, unused_ms: u64) -> Result<(), StoreError> {
        self.connection
            .prepare_cached(
                "DELETE FROM clients
                 WHERE seen_ms < CASE acknowledged WHEN 0 THEN ?2 ELSE ?1 END",
            )?
            .execute((int(used_ms), int(unused_ms)))?;
        Ok(())
    }
}

impl Reader {
    /// All named front-ends, by name.
    pub fn clients(&self) -> Result<Vec<ClientRow>, StoreError> {
        // Numbers of events have no holes from the oldest kept one on.
        let mut select = self.connection.prepare_cached(
            "SELECT name, cursor, seen_ms, acknowledged,
               max(0, (SELECT coalesce(max(seq), 0) FROM events)
                      - max(cursor, (SELECT coalesce(min(seq), 1) FROM events) - 1))
             FROM clients ORDER BY name",
        )?;
        let rows = select.query_map([], |row| {
            Ok(ClientRow {
                name: row.get(0)?,
                cursor: row.get(1)?,
                seen_ms: unbits(row.get(2)?),
                acknowledged: row.get(3)?,
                lag: unbits(row.get(4)?),
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}
