//! The local side of conversations, the incarnations of peers, and the reset after a restore
//! (docs/spec/storage.md#put-back-lost-and-copied).

use super::{Store, StoreError, array, bits, int, unbits};
use crate::ContactRowId;
use m2_delivery::{SavedPeerGrant, SavedPlace, Time};
use rusqlite::{OptionalExtension, Row};

/// Set when the store was restored from a copy. The next start takes new incarnations.
const RESTORED: &str = "restored_ms";
/// The id of the event log, which every cursor contains.
const EVENT_LOG: &str = "event log";

impl Store {
    /// Records that the store was restored from a copy. The next start takes a new incarnation for
    /// every conversation, begins another event log, and resends unacknowledged messages.
    pub fn mark_restored(&self, now_ms: u64) -> Result<(), StoreError> {
        self.set_number(RESTORED, int(now_ms))
    }

    /// Completes a restore recorded by [`Self::mark_restored`], in one transaction. Returns whether
    /// there was one.
    pub fn finish_restore(&self) -> Result<bool, StoreError> {
        if self.number(RESTORED)?.is_none() {
            return Ok(false);
        }
        self.begin()?;
        let done = self.begin_anew();
        match done {
            Ok(()) => self.commit()?,
            Err(_) => self.roll_back(),
        }
        done.map(|()| true)
    }

    fn begin_anew(&self) -> Result<(), StoreError> {
        self.end_incarnations(None)?;
        self.forget_letter_keys()?;
        for key in [EVENT_LOG, RESTORED] {
            self.connection
                .prepare_cached("DELETE FROM settings WHERE key = ?1")?
                .execute([key])?;
        }
        Ok(())
    }

    /// Ends the incarnations of all conversations except one. Each conversation takes a new one
    /// when it needs it.
    pub fn end_incarnations(&self, but: Option<ContactRowId>) -> Result<(), StoreError> {
        let sql =
            "UPDATE places SET incarnation = 0, grant_hash = zeroblob(32) WHERE contact IS NOT ?1";
        self.connection.prepare_cached(sql)?.execute([but])?;
        Ok(())
    }

    /// Returns the id of the event log, created by `make` if there is none.
    pub fn event_log(&self, make: impl FnOnce() -> u64) -> Result<u64, StoreError> {
        if let Some(value) = self.number(EVENT_LOG)? {
            return Ok(unbits(value));
        }
        let fresh = make();
        self.set_number(EVENT_LOG, bits(fresh))?;
        Ok(fresh)
    }

    /// Returns the local side of a conversation and the peer's current incarnation.
    pub(super) fn saved_place(
        &self,
        contact: ContactRowId,
    ) -> Result<(SavedPlace, u64), StoreError> {
        let found = self
            .connection
            .prepare_cached(
                "SELECT incarnation, begun_ms, renewed_ms, epoch, grant_hash, following, signed_s
                 FROM places WHERE contact = ?1",
            )?
            .query_row([contact], |row| Ok(parse_place(row)))
            .optional()?;
        found.unwrap_or_else(|| Ok(Default::default()))
    }

    /// Sets the local side of a conversation.
    pub fn put_place(&self, contact: ContactRowId, place: &SavedPlace) -> Result<(), StoreError> {
        self.connection
            .prepare_cached(
                "INSERT INTO places(contact, incarnation, begun_ms, renewed_ms, epoch, grant_hash,
                   signed_s)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
                 ON CONFLICT(contact) DO UPDATE SET incarnation = ?2, begun_ms = ?3,
                   renewed_ms = ?4, epoch = ?5, grant_hash = ?6, signed_s = ?7",
            )?
            .execute((
                contact,
                bits(place.incarnation),
                int(place.begun.0),
                int(place.renewed.0),
                int(place.epoch),
                place.grant_hash,
                int(place.signed),
            ))?;
        Ok(())
    }

    /// Sets the current incarnation of the peer.
    pub fn put_following(&self, contact: ContactRowId, incarnation: u64) -> Result<(), StoreError> {
        self.connection
            .prepare_cached(
                "INSERT INTO places(contact, following) VALUES (?1, ?2)
                 ON CONFLICT(contact) DO UPDATE SET following = ?2",
            )?
            .execute((contact, bits(incarnation)))?;
        Ok(())
    }

    /// Returns the conflict of a contact's store, as a number, and the time of its detection in
    /// Unix milliseconds. Zeros if there is none.
    pub fn contact_conflict(&self, contact: ContactRowId) -> Result<(i64, u64), StoreError> {
        let found = self
            .connection
            .prepare_cached("SELECT conflict, conflict_ms FROM places WHERE contact = ?1")?
            .query_row([contact], |row| Ok((row.get(0)?, unbits(row.get(1)?))))
            .optional()?;
        Ok(found.unwrap_or_default())
    }

    /// Records a conflict of a contact's store.
    pub fn put_contact_conflict(
        &self,
        contact: ContactRowId,
        conflict: i64,
        now_ms: u64,
    ) -> Result<(), StoreError> {
        self.connection
            .prepare_cached(
                "INSERT INTO places(contact, conflict, conflict_ms) VALUES (?1, ?2, ?3)
                 ON CONFLICT(contact) DO UPDATE SET conflict = ?2, conflict_ms = ?3",
            )?
            .execute((contact, conflict, int(now_ms)))?;
        Ok(())
    }

    /// Inserts or replaces the newest grant of one incarnation of the peer.
    pub fn put_peer_grant(
        &self,
        contact: ContactRowId,
        grant: &SavedPeerGrant,
    ) -> Result<(), StoreError> {
        self.connection
            .prepare_cached("INSERT OR REPLACE INTO peer_grants VALUES (?1, ?2, ?3)")?
            .execute((contact, bits(grant.incarnation), grant.grant.as_ref()))?;
        Ok(())
    }

    /// Deletes the state of one incarnation of the peer.
    pub fn delete_incarnation(
        &self,
        contact: ContactRowId,
        incarnation: u64,
    ) -> Result<(), StoreError> {
        for sql in [
            "DELETE FROM incarnations WHERE contact = ?1 AND incarnation = ?2",
            "DELETE FROM peer_grants WHERE contact = ?1 AND incarnation = ?2",
        ] {
            let mut statement = self.connection.prepare_cached(sql)?;
            statement.execute((contact, bits(incarnation)))?;
        }
        Ok(())
    }

    pub(super) fn saved_peer_grants(
        &self,
        contact: ContactRowId,
    ) -> Result<Vec<SavedPeerGrant>, StoreError> {
        let sql = "SELECT incarnation, signed_grant FROM peer_grants WHERE contact = ?1";
        self.all(sql, contact, |row| {
            Ok(SavedPeerGrant {
                incarnation: unbits(row.get(0)?),
                grant: row.get::<_, Vec<u8>>(1)?.into(),
            })
        })
    }
}

fn parse_place(row: &Row<'_>) -> Result<(SavedPlace, u64), StoreError> {
    let hash: Vec<u8> = row.get(4)?;
    let place = SavedPlace {
        incarnation: unbits(row.get(0)?),
        begun: Time(unbits(row.get(1)?)),
        renewed: Time(unbits(row.get(2)?)),
        epoch: unbits(row.get(3)?),
        signed: unbits(row.get(6)?),
        grant_hash: array(&hash, "grant hash")?,
    };
    Ok((place, unbits(row.get(5)?)))
}

#[cfg(test)]
mod tests {
    use crate::ContactRow;
    use crate::tests::scratch;
    use m2_core::ContactState;
    use m2_crypto::PeerId;
    use m2_delivery::{SavedPlace, Time};

    #[test]
    fn a_restore_ends_every_incarnation_and_the_event_log_once() {
        let (_dir, store) = scratch();
        let log = store.event_log(|| 5).unwrap();
        let contact = ContactRow::new(PeerId::from_bytes([1; 32]), ContactState::Contact, 1);
        let contact = store.insert_contact(&contact).unwrap();
        let place = SavedPlace {
            incarnation: u64::MAX,
            begun: Time(3),
            renewed: Time(4),
            epoch: 7,
            signed: 8,
            grant_hash: [9; 32],
        };
        store.put_place(contact, &place).unwrap();
        store.put_following(contact, 11).unwrap();
        assert!(!store.finish_restore().unwrap());
        let saved = store.saved_conversation(contact).unwrap();
        assert_eq!((saved.place, saved.following), (place, 11));

        store.mark_restored(99).unwrap();
        assert!(store.finish_restore().unwrap());
        let saved = store.saved_conversation(contact).unwrap();
        assert_eq!((saved.place.incarnation, saved.place.epoch), (0, 7));
        assert_ne!(store.event_log(|| 6).unwrap(), log);
        assert!(!store.finish_restore().unwrap());
    }
}
