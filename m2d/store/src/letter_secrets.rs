//! The letter secrets of each contact, and what backups and restores do to keys for letters
//! (docs/spec/letter.md#letter-secrets).

use super::{Store, StoreError, int};
use crate::ContactRowId;
use m2_crypto::Secret;
use m2_crypto::letter::{KeptSecret, LetterSecret, LetterSecrets};
use rusqlite::Connection;

/// Deletes all keys for letters. Backups contain none of them, and a restored store begins without them: a
/// letter is opened once, by the store that gave its token (docs/spec/backup.md#making-one).
const FORGET: &str = "DELETE FROM letter_secrets;
     DELETE FROM issued_tokens;
     DELETE FROM held_tokens;
     DELETE FROM mailbox_grants;
     UPDATE mailboxes SET box_key = NULL, key_known = 0;
     UPDATE letters_out SET provider = NULL, token = NULL, sealed = NULL, sealed_ms = 0;";

impl Store {
    /// Returns the letter secrets of a contact.
    pub fn letter_secrets(&self, contact: ContactRowId) -> Result<LetterSecrets, StoreError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT session, secret, peer_has_it, ends_s FROM letter_secrets
             WHERE contact = ?1 ORDER BY position DESC",
        )?;
        let mut rows = statement.query([contact])?;
        let mut kept = Vec::new();
        while let Some(row) = rows.next()? {
            let secret = row.get_ref(1)?.as_blob().ok().and_then(Secret::from_slice);
            let secret = secret.ok_or(StoreError::Corrupt("letter secret"))?;
            let ends: Option<i64> = row.get(3)?;
            kept.push(KeptSecret {
                secret: LetterSecret::new(row.get(0)?, secret),
                peer_has_it: row.get(2)?,
                ends_s: ends.map(|end| u64::try_from(end).unwrap_or(0)),
            });
        }
        Ok(LetterSecrets::new(kept))
    }

    /// Replaces the letter secrets of a contact.
    pub fn put_letter_secrets(
        &self,
        contact: ContactRowId,
        secrets: &LetterSecrets,
    ) -> Result<(), StoreError> {
        self.connection
            .prepare_cached("DELETE FROM letter_secrets WHERE contact = ?1")?
            .execute([contact])?;
        let mut insert = self
            .connection
            .prepare_cached("INSERT INTO letter_secrets VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?;
        for (position, kept) in (0_i64..).zip(secrets.kept().iter().rev()) {
            insert.execute((
                contact,
                position,
                kept.secret.session(),
                kept.secret.expose(),
                kept.peer_has_it,
                kept.ends_s.map(int),
            ))?;
        }
        Ok(())
    }

    /// Erases the letter secrets that end at `now_s`, Unix time in seconds, or earlier.
    pub fn erase_ended_secrets(&self, now_s: u64) -> Result<(), StoreError> {
        self.connection
            .prepare_cached("DELETE FROM letter_secrets WHERE ends_s <= ?1")?
            .execute([int(now_s)])?;
        Ok(())
    }

    /// Returns when the next letter secret ends, Unix time in seconds.
    pub fn next_secret_end_s(&self) -> Result<Option<u64>, StoreError> {
        let next: Option<i64> = self
            .connection
            .prepare_cached("SELECT min(ends_s) FROM letter_secrets")?
            .query_row([], |row| row.get(0))?;
        Ok(next.map(|end| u64::try_from(end).unwrap_or(0)))
    }

    /// Deletes all keys for letters: this daemon's boxes get new keys, and contacts new tokens.
    pub fn forget_letter_keys(&self) -> Result<(), StoreError> {
        forget(&self.connection)
    }
}

/// Deletes all keys for letters from a store or a copy of one.
pub(crate) fn forget(connection: &Connection) -> Result<(), StoreError> {
    Ok(connection.execute_batch(FORGET)?)
}
