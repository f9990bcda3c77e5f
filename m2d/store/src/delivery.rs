//! The rows of a conversation's delivery state: outbox, epochs, sequence numbers, held messages.

use super::{Store, StoreError, bits, int, unbits};
use crate::ContactRowId;
use m2_crypto::PeerId;
use m2_delivery::{Committed, ContentHash, MessageId, Saved, SavedHeld, SavedIncarnation, Time};
use rusqlite::{OptionalExtension, Row};

impl Store {
    /// Returns the saved state of a conversation.
    pub fn saved_conversation(&self, contact: ContactRowId) -> Result<Saved, StoreError> {
        let (place, following) = self.saved_place(contact)?;
        Ok(Saved {
            place,
            following,
            peer_grants: self.saved_peer_grants(contact)?,
            next_sequence: self.next_sequence(contact)?,
            outbox: self.saved_outbox(contact)?,
            incarnations: self.all(INCARNATIONS, contact, parse_incarnation)?,
            held: self.all(HELD, contact, parse_held)?,
        })
    }

    fn next_sequence(&self, contact: ContactRowId) -> Result<u64, StoreError> {
        let next: Option<i64> = self
            .connection
            .prepare_cached("SELECT next_sequence FROM sequences WHERE contact = ?1")?
            .query_row([contact], |row| row.get(0))
            .optional()?;
        Ok(next.map_or(0, unbits))
    }

    pub(super) fn all<T>(
        &self,
        sql: &str,
        contact: ContactRowId,
        parse: fn(&Row<'_>) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut rows = statement.query([contact])?;
        let mut parsed = Vec::new();
        while let Some(row) = rows.next()? {
            parsed.push(parse(row)?);
        }
        Ok(parsed)
    }

    /// Returns the commit under a message id, in any conversation and either direction.
    pub fn committed(&self, id: &MessageId) -> Result<Option<Committed>, StoreError> {
        const MESSAGE: &str = "SELECT c.peer_id, m.own, m.incarnation, m.hash FROM messages m
                               JOIN contacts c ON c.row = m.contact WHERE m.id = ?1";
        const HELD: &str = "SELECT c.peer_id, 0, h.incarnation, h.hash FROM held h
                            JOIN contacts c ON c.row = h.contact WHERE h.id = ?1";
        for sql in [MESSAGE, HELD] {
            let found = self
                .connection
                .prepare_cached(sql)?
                .query_row([id.0], |row| {
                    Ok(Committed {
                        peer: PeerId::from_bytes(row.get(0)?),
                        received: !row.get::<_, bool>(1)?,
                        incarnation: unbits(row.get(2)?),
                        hash: ContentHash(row.get(3)?),
                    })
                })
                .optional()?;
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    /// Sets the sequence number of the next message to a contact.
    pub fn put_next_sequence(&self, contact: ContactRowId, next: u64) -> Result<(), StoreError> {
        self.connection
            .prepare_cached("INSERT OR REPLACE INTO sequences VALUES (?1, ?2)")?
            .execute((contact, bits(next)))?;
        Ok(())
    }

    /// Inserts or replaces the state of one incarnation of the peer.
    pub fn put_incarnation(
        &self,
        contact: ContactRowId,
        incarnation: &SavedIncarnation,
    ) -> Result<(), StoreError> {
        self.connection
            .prepare_cached("INSERT OR REPLACE INTO incarnations VALUES (?1, ?2, ?3, ?4)")?
            .execute((
                contact,
                bits(incarnation.incarnation),
                bits(incarnation.highest_epoch),
                bits(incarnation.next_sequence),
            ))?;
        Ok(())
    }

    /// Returns the contacts whose conversations need timers: those with messages to deliver or held
    /// messages to release.
    pub fn rows_with_timers(&self) -> Result<Vec<ContactRowId>, StoreError> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT contact FROM outbox UNION SELECT contact FROM held")?;
        let rows = statement.query_map([], |row| row.get(0))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Inserts a place that waits for earlier places.
    pub fn put_held(
        &self,
        contact: ContactRowId,
        held: &SavedHeld,
        hash: &ContentHash,
        payload: Option<&[u8]>,
    ) -> Result<(), StoreError> {
        self.connection
            .prepare_cached("INSERT OR REPLACE INTO held VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")?
            .execute((
                contact,
                bits(held.incarnation),
                bits(held.sequence),
                held.id.0,
                int(held.received.0),
                held.show,
                hash.0,
                payload,
            ))?;
        Ok(())
    }

    /// Removes a held place. Returns the hash and the payload of its message, unless that message
    /// is already committed.
    pub fn take_held(
        &self,
        contact: ContactRowId,
        incarnation: u64,
        sequence: u64,
    ) -> Result<Option<(ContentHash, Vec<u8>)>, StoreError> {
        let taken: Option<(ContentHash, Option<Vec<u8>>)> = self
            .connection
            .prepare_cached(
                "DELETE FROM held WHERE contact = ?1 AND incarnation = ?2 AND sequence = ?3
                 RETURNING hash, payload",
            )?
            .query_row((contact, bits(incarnation), bits(sequence)), |row| {
                Ok((ContentHash(row.get(0)?), row.get(1)?))
            })
            .optional()?;
        Ok(taken.and_then(|(hash, payload)| payload.map(|payload| (hash, payload))))
    }
}

const INCARNATIONS: &str =
    "SELECT incarnation, highest_epoch, next_sequence FROM incarnations WHERE contact = ?1";
const HELD: &str =
    "SELECT id, incarnation, sequence, received_ms, show FROM held WHERE contact = ?1";

fn parse_incarnation(row: &Row<'_>) -> Result<SavedIncarnation, StoreError> {
    Ok(SavedIncarnation {
        incarnation: unbits(row.get(0)?),
        highest_epoch: unbits(row.get(1)?),
        next_sequence: unbits(row.get(2)?),
    })
}

fn parse_held(row: &Row<'_>) -> Result<SavedHeld, StoreError> {
    Ok(SavedHeld {
        id: MessageId(row.get(0)?),
        incarnation: unbits(row.get(1)?),
        sequence: unbits(row.get(2)?),
        received: Time(unbits(row.get(3)?)),
        show: row.get(4)?,
    })
}
