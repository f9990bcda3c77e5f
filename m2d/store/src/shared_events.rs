//! The events of client names that several workers share (docs/spec/storage.md#shared-names).

use super::{EventKind, Store, StoreError, bits, int, unbits};
use crate::ContactRowId;
use m2_crypto::PeerId;
use rusqlite::{OptionalExtension, Row};

/// What is known of a shared event. The numbers are values of the column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i64)]
pub enum SharedState {
    /// A worker has it.
    Leased = 1,
    /// It waits until it is given again.
    Waiting = 2,
    /// It was handled.
    Done = 3,
    /// It was given too often.
    Dead = 4,
}

/// The state of a shared event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SharedRow {
    /// The number of the event.
    pub seq: i64,
    /// Its state.
    pub state: SharedState,
    /// How often it was given.
    pub deliveries: u32,
    /// When the lease or the pause ends, or since when it is a dead letter, in Unix milliseconds.
    pub at_ms: u64,
    /// The worker that has it.
    pub worker: u64,
    /// The contact of the event. It is read from the log, and 0 if the event is not stored any more.
    pub contact: ContactRowId,
}

/// An entry of the log without its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventHead {
    /// The number of the entry.
    pub seq: i64,
    /// The kind of event.
    pub kind: EventKind,
    /// The row of the contact concerned.
    pub contact: ContactRowId,
    /// The peer id of the contact concerned.
    pub peer_id: PeerId,
}

/// The dead letters of all clients.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DeadLetterTotals {
    /// The number of dead letters.
    pub count: u64,
    /// The number of clients that have any.
    pub clients: u64,
    /// Since when the oldest is one, in Unix milliseconds.
    pub oldest_ms: u64,
    /// The largest number of one client.
    pub most: u64,
}

impl SharedState {
    fn from_column(value: i64) -> Result<Self, StoreError> {
        Ok(match value {
            1 => Self::Leased,
            2 => Self::Waiting,
            3 => Self::Done,
            4 => Self::Dead,
            _ => return Err(StoreError::Corrupt("shared event")),
        })
    }
}

impl Store {
    /// Returns what is stored of the shared events of a client, in order.
    pub fn shared_events(&self, client: &str) -> Result<Vec<SharedRow>, StoreError> {
        let mut select = self.connection.prepare_cached(
            "SELECT s.seq, s.state, s.deliveries, s.at_ms, s.worker, coalesce(e.contact, 0)
             FROM shared_events s LEFT JOIN events e ON e.seq = s.seq
             WHERE s.client = ?1 ORDER BY s.seq",
        )?;
        let mut rows = select.query([client])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            found.push(parse(row)?);
        }
        Ok(found)
    }

    /// Stores the state of a shared event, with why it was not handled.
    pub fn put_shared_event(
        &self,
        client: &str,
        row: &SharedRow,
        reason: &str,
    ) -> Result<(), StoreError> {
        self.connection
            .prepare_cached(
                "INSERT OR REPLACE INTO shared_events(client, seq, state, deliveries, at_ms, worker, reason)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )?
            .execute((
                client,
                row.seq,
                row.state as i64,
                row.deliveries,
                int(row.at_ms),
                bits(row.worker),
                reason,
            ))?;
        Ok(())
    }

    /// Deletes what is stored of a shared event.
    pub fn delete_shared_event(&self, client: &str, seq: i64) -> Result<(), StoreError> {
        self.connection
            .prepare_cached("DELETE FROM shared_events WHERE client = ?1 AND seq = ?2")?
            .execute((client, seq))?;
        Ok(())
    }

    /// Returns up to `limit` entries of the log after number `after`, without content.
    pub fn event_heads(&self, after: i64, limit: u32) -> Result<Vec<EventHead>, StoreError> {
        let mut select = self.connection.prepare_cached(
            "SELECT e.seq, e.kind, e.contact, c.peer_id
             FROM events e CROSS JOIN contacts c ON c.row = e.contact
             WHERE e.seq > ?1 ORDER BY e.seq LIMIT ?2",
        )?;
        let mut rows = select.query((after, limit))?;
        let mut heads = Vec::new();
        while let Some(row) = rows.next()? {
            heads.push(EventHead {
                seq: row.get(0)?,
                kind: EventKind::from_column(row.get(1)?)?,
                contact: row.get(2)?,
                peer_id: PeerId::from_bytes(row.get(3)?),
            });
        }
        Ok(heads)
    }

    /// Returns the contact of an entry of the log; `None` if it is not stored any more.
    pub fn contact_of_event(&self, seq: i64) -> Result<Option<ContactRowId>, StoreError> {
        Ok(self
            .connection
            .prepare_cached("SELECT contact FROM events WHERE seq = ?1")?
            .query_row([seq], |row| row.get(0))
            .optional()?)
    }

    /// Returns the number of the oldest stored entry of the log, if any.
    pub fn oldest_event(&self) -> Result<Option<i64>, StoreError> {
        Ok(self
            .connection
            .prepare_cached("SELECT min(seq) FROM events")?
            .query_row([], |row| row.get(0))?)
    }

    /// Returns the totals of the dead letters of all clients.
    pub fn dead_letter_totals(&self) -> Result<DeadLetterTotals, StoreError> {
        Ok(self
            .connection
            .prepare_cached(
                "SELECT coalesce(sum(count), 0), count(*), coalesce(min(oldest), 0), coalesce(max(count), 0)
                 FROM (SELECT count(*) AS count, min(at_ms) AS oldest FROM shared_events
                       WHERE state = 4 GROUP BY client)",
            )?
            .query_row([], |row| {
                Ok(DeadLetterTotals {
                    count: unbits(row.get(0)?),
                    clients: unbits(row.get(1)?),
                    oldest_ms: unbits(row.get(2)?),
                    most: unbits(row.get(3)?),
                })
            })?)
    }
}

fn parse(row: &Row<'_>) -> Result<SharedRow, StoreError> {
    Ok(SharedRow {
        seq: row.get(0)?,
        state: SharedState::from_column(row.get(1)?)?,
        deliveries: row.get(2)?,
        at_ms: unbits(row.get(3)?),
        worker: unbits(row.get(4)?),
        contact: row.get(5)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::scratch;

    const fn row(seq: i64, state: SharedState, at_ms: u64) -> SharedRow {
        SharedRow {
            seq,
            state,
            deliveries: 2,
            at_ms,
            worker: u64::MAX,
            contact: ContactRowId::new(0),
        }
    }

    #[test]
    fn shared_events_are_stored_with_their_client() {
        let (_dir, store) = scratch();
        store.add_client("bot", "", 4, true, 1).unwrap();
        let rows = [
            row(2, SharedState::Dead, 70),
            row(5, SharedState::Leased, 90),
            row(6, SharedState::Done, 0),
            row(7, SharedState::Waiting, 80),
        ];
        for row in rows.iter().rev() {
            store.put_shared_event("bot", row, "why").unwrap();
        }
        assert_eq!(store.shared_events("bot").unwrap(), rows);
        store.delete_shared_event("bot", 6).unwrap();
        assert_eq!(store.shared_events("bot").unwrap().len(), 3);
        let totals = store.dead_letter_totals().unwrap();
        let wanted = DeadLetterTotals {
            count: 1,
            clients: 1,
            oldest_ms: 70,
            most: 1,
        };
        assert_eq!(totals, wanted);
        assert!(store.remove_client("bot").unwrap());
        assert_eq!(store.shared_events("bot").unwrap(), []);
        let none = DeadLetterTotals::default();
        assert_eq!(store.dead_letter_totals().unwrap(), none);
    }
}
