//! Named front-ends and their cursors in the event log.

use super::{Reader, Store, StoreError, int, unbits};
use rusqlite::OptionalExtension;

/// A named front-end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientRow {
    /// The name of the front-end.
    pub name: String,
    /// The number of the last acknowledged event. The stream of events starts after it.
    pub cursor: i64,
    /// The number of stored events after the cursor.
    pub lag: u64,
    /// The time of its last activity in Unix milliseconds.
    pub seen_ms: u64,
    /// True if it has acknowledged an event.
    pub acknowledged: bool,
    /// True if several workers share the name.
    pub shared: bool,
    /// The number of events that its workers have.
    pub leased: u64,
    /// The number of its dead letters.
    pub dead: u64,
}

/// Where a named front-end is, and how its name is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientHead {
    /// The number of the last acknowledged event. If the name is shared, all events up to it are done or have a row of
    /// their own.
    pub cursor: i64,
    /// True if several workers share the name.
    pub shared: bool,
}

impl Store {
    /// Returns where a named front-end is.
    pub fn client(&self, name: &str) -> Result<Option<ClientHead>, StoreError> {
        Ok(self
            .connection
            .prepare_cached("SELECT cursor, shared FROM clients WHERE name = ?1")?
            .query_row([name], |row| {
                Ok(ClientHead {
                    cursor: row.get(0)?,
                    shared: row.get(1)?,
                })
            })
            .optional()?)
    }

    /// Returns the number of named front-ends.
    pub fn client_count(&self) -> Result<u32, StoreError> {
        Ok(self
            .connection
            .query_row("SELECT count(*) FROM clients", [], |row| row.get(0))?)
    }

    /// Adds a named front-end that starts after event number `cursor`. `token`: the name of its access
    /// token; empty for the owner.
    pub fn add_client(
        &self,
        name: &str,
        token: &str,
        cursor: i64,
        shared: bool,
        now_ms: u64,
    ) -> Result<(), StoreError> {
        self.connection
            .prepare_cached(
                "INSERT INTO clients(name, token, cursor, seen_ms, acknowledged, shared)
                 VALUES (?1, ?2, ?3, ?4, 0, ?5)",
            )?
            .execute((name, token, cursor, int(now_ms), shared))?;
        Ok(())
    }

    /// Advances the cursor of a named front-end. The cursor never moves back.
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

    /// Advances the cursor of a shared name, without an acknowledgement of its workers.
    pub fn advance_client(&self, name: &str, cursor: i64) -> Result<(), StoreError> {
        self.connection
            .prepare_cached("UPDATE clients SET cursor = max(cursor, ?2) WHERE name = ?1")?
            .execute((name, cursor))?;
        Ok(())
    }

    /// Updates the time at which a named front-end was last active.
    pub fn see_client(&self, name: &str, now_ms: u64) -> Result<(), StoreError> {
        self.connection
            .prepare_cached("UPDATE clients SET seen_ms = ?2 WHERE name = ?1")?
            .execute((name, int(now_ms)))?;
        Ok(())
    }

    /// Deletes a named front-end. Returns whether it existed.
    pub fn remove_client(&self, name: &str) -> Result<bool, StoreError> {
        let mut delete = self
            .connection
            .prepare_cached("DELETE FROM clients WHERE name = ?1")?;
        Ok(delete.execute([name])? > 0)
    }

    /// Deletes front-ends that were last seen before `used_ms`, and front-ends that never
    /// acknowledged an event and were last seen before `unused_ms`. Names with dead letters are kept.
    pub fn prune_clients(&self, used_ms: u64, unused_ms: u64) -> Result<(), StoreError> {
        self.connection
            .prepare_cached(
                "DELETE FROM clients
                 WHERE seen_ms < CASE acknowledged WHEN 0 THEN ?2 ELSE ?1 END
                   AND NOT EXISTS (SELECT 1 FROM shared_events WHERE client = name AND state = 4)",
            )?
            .execute((int(used_ms), int(unused_ms)))?;
        Ok(())
    }
}

impl Reader {
    /// Returns whether a named front-end exists.
    pub fn has_client(&self, name: &str) -> Result<bool, StoreError> {
        Ok(self
            .connection
            .prepare_cached("SELECT EXISTS (SELECT 1 FROM clients WHERE name = ?1)")?
            .query_row([name], |row| row.get(0))?)
    }

    /// Lists all named front-ends by name.
    pub fn clients(&self) -> Result<Vec<ClientRow>, StoreError> {
        // Event numbers are contiguous from the oldest stored event on.
        let mut select = self.connection.prepare_cached(
            "SELECT name, cursor, seen_ms, acknowledged,
               max(0, (SELECT coalesce(max(seq), 0) FROM events)
                      - max(cursor, (SELECT coalesce(min(seq), 1) FROM events) - 1)),
               shared,
               (SELECT count(*) FROM shared_events WHERE client = name AND state = 1),
               (SELECT count(*) FROM shared_events WHERE client = name AND state = 4)
             FROM clients ORDER BY name",
        )?;
        let rows = select.query_map([], |row| {
            Ok(ClientRow {
                name: row.get(0)?,
                cursor: row.get(1)?,
                seen_ms: unbits(row.get(2)?),
                acknowledged: row.get(3)?,
                lag: unbits(row.get(4)?),
                shared: row.get(5)?,
                leased: unbits(row.get(6)?),
                dead: unbits(row.get(7)?),
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}
