//! Outgoing letters that wait for deposit, and the record of incoming letters (docs/spec/letter.md,
//! docs/spec/delivery.md#by-letter).

use super::{Store, StoreError, bits, int, unbits};
use crate::{ContactRowId, MessageRowId};
use m2_crypto::PeerId;
use m2_crypto::envelope::MAX_GRANT_AHEAD_S;
use m2_delivery::{ContentHash, MessageId};
use m2_wire::mailbox::LetterId;
use rusqlite::{OptionalExtension, Row};

/// The times that decide which messages get a letter, in Unix milliseconds.
#[derive(Debug, Clone, Copy)]
pub struct WaitingSince {
    /// The latest plausible time. Later ones were written by a wrong clock and count as long ago.
    pub latest_ms: u64,
    /// A message without a letter gets one if it was queued at this time or earlier.
    pub queued_ms: u64,
    /// A message with a deposited letter gets another one if the deposit was at this time or
    /// earlier.
    pub deposited_ms: u64,
}

/// How long a message waits before it gets a letter, in milliseconds.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// The delay for messages without a letter.
    pub queued_ms: u64,
    /// The delay for messages whose letter was deposited.
    pub deposited_ms: u64,
}

/// A message that waits for delivery and has no letter in progress.
#[derive(Debug, Clone)]
pub struct Undeposited {
    /// The row of the message.
    pub message: MessageRowId,
    /// The id of the message.
    pub id: MessageId,
    /// The hash of the queued content.
    pub hash: ContentHash,
}

/// A letter that waits for deposit.
#[derive(Debug, Clone)]
pub struct LetterRow {
    /// The row of the message in it.
    pub message: MessageRowId,
    /// The row of the recipient.
    pub contact: ContactRowId,
    /// The letter's id at the provider.
    pub id: LetterId,
    /// The sealed letter.
    pub sealed: Vec<u8>,
    /// The provider and the number of the deposit token that the current attempt uses.
    pub place: Option<(PeerId, u64)>,
    /// The number of failed attempts.
    pub attempts: u32,
    /// The time at which it was sealed, in Unix milliseconds.
    pub sealed_ms: u64,
}

const LETTER: &str = "message, contact, id, sealed, provider, token, attempts, sealed_ms";

/// How far the grant of a letter may be ahead of its receiver's clock, in milliseconds.
const GRANT_AHEAD_MS: u64 = MAX_GRANT_AHEAD_S * 1_000;

/// Selects the messages for a contact (`?1`) that have no letter in progress.
const WITHOUT_LETTER: &str = "FROM outbox o
       LEFT JOIN letters_out l ON l.message = o.message
       LEFT JOIN deposits d ON d.message = o.message
     WHERE o.contact = ?1 AND l.message IS NULL AND o.state IN (1, 2, 3, 8)";

impl Store {
    /// Returns messages for a contact that have waited long enough to get a letter, oldest first.
    pub fn undeposited(
        &self,
        contact: ContactRowId,
        since: WaitingSince,
        limit: u32,
    ) -> Result<Vec<Undeposited>, StoreError> {
        let mut statement = self.connection.prepare_cached(&format!(
            "SELECT o.message, o.id, o.hash {WITHOUT_LETTER}
               AND CASE o.state
                     WHEN 8 THEN d.deposited_ms NOT BETWEEN ?3 + 1 AND ?5 + {GRANT_AHEAD_MS}
                     ELSE o.queued_ms NOT BETWEEN ?2 + 1 AND ?5 END
             ORDER BY o.message LIMIT ?4"
        ))?;
        let latest = int(since.latest_ms);
        let since = (int(since.queued_ms), int(since.deposited_ms));
        let rows = statement.query_map((contact, since.0, since.1, limit, latest), |row| {
            Ok(Undeposited {
                message: row.get(0)?,
                id: MessageId(row.get(1)?),
                hash: ContentHash(row.get(2)?),
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Returns when the next message for a contact has waited long enough to get a letter. Times
    /// after `latest_ms` count as long ago.
    pub fn next_undeposited(
        &self,
        contact: ContactRowId,
        patience: Patience,
        latest_ms: u64,
    ) -> Result<Option<u64>, StoreError> {
        let (queued, deposited) = (int(patience.queued_ms), int(patience.deposited_ms));
        let next: Option<i64> = self
            .connection
            .prepare_cached(&format!(
                "SELECT min(CASE o.state
                     WHEN 8 THEN iif(d.deposited_ms > ?4 + {GRANT_AHEAD_MS}, 0,
                                 d.deposited_ms + ?3)
                     ELSE iif(o.queued_ms > ?4, 0, o.queued_ms + ?2) END)
                 {WITHOUT_LETTER}"
            ))?
            .query_row((contact, queued, deposited, int(latest_ms)), |row| {
                row.get(0)
            })?;
        Ok(next.map(unbits))
    }

    /// Records that a provider accepted a letter with this message.
    pub fn note_deposit(&self, letter: &LetterRow, now_ms: u64) -> Result<(), StoreError> {
        self.connection
            .prepare_cached("INSERT OR REPLACE INTO deposits VALUES (?1, ?2, ?3)")?
            .execute((letter.message, letter.contact, int(now_ms)))?;
        Ok(())
    }

    /// Makes interrupted attempts due now. Called at the start, when no attempt is in progress.
    pub fn resume_letters(&self, now_ms: u64) -> Result<(), StoreError> {
        self.connection
            .prepare_cached(
                "UPDATE letters_out SET due_ms = ?1 WHERE provider IS NOT NULL AND due_ms > ?1",
            )?
            .execute([int(now_ms)])?;
        Ok(())
    }

    /// Stores a letter before its first attempt, with the times at which it was sealed and is due.
    pub fn insert_letter(
        &self,
        of: &Undeposited,
        contact: ContactRowId,
        id: LetterId,
        sealed: &[u8],
        (sealed_ms, due_ms): (u64, u64),
    ) -> Result<(), StoreError> {
        let (made, due) = (int(sealed_ms), int(due_ms));
        self.connection
            .prepare_cached(
                "INSERT INTO letters_out(message, contact, id, hash, sealed, sealed_ms, due_ms)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )?
            .execute((of.message, contact, id.0, of.hash.0, sealed, made, due))?;
        Ok(())
    }

    /// Returns letters that are due, the earliest first.
    pub fn due_letters(&self, now_ms: u64, limit: u32) -> Result<Vec<LetterRow>, StoreError> {
        let mut statement = self.connection.prepare_cached(&format!(
            "SELECT {LETTER} FROM letters_out WHERE due_ms <= ?1 ORDER BY due_ms LIMIT ?2"
        ))?;
        let rows = statement.query_map((int(now_ms), limit), parse_letter)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Returns when the next letter is due.
    pub fn next_letter_due(&self) -> Result<Option<u64>, StoreError> {
        let due: Option<i64> = self
            .connection
            .prepare_cached("SELECT min(due_ms) FROM letters_out")?
            .query_row([], |row| row.get(0))?;
        Ok(due.map(unbits))
    }

    /// Returns a letter by its id.
    pub fn letter(&self, id: &LetterId) -> Result<Option<LetterRow>, StoreError> {
        Ok(self
            .connection
            .prepare_cached(&format!("SELECT {LETTER} FROM letters_out WHERE id = ?1"))?
            .query_row([id.0], parse_letter)
            .optional()?)
    }

    /// Updates the provider, the token, the number of attempts and the due time of a letter.
    pub fn update_letter(&self, letter: &LetterRow, due_ms: u64) -> Result<(), StoreError> {
        let place = letter.place.as_ref();
        self.connection
            .prepare_cached(
                "UPDATE letters_out SET provider = ?2, token = ?3, attempts = ?4, due_ms = ?5
                 WHERE message = ?1",
            )?
            .execute((
                letter.message,
                place.map(|(provider, _)| *provider.as_bytes()),
                place.map_or(0, |(_, token)| int(*token)),
                letter.attempts,
                int(due_ms),
            ))?;
        Ok(())
    }

    /// Resets the provider of all letters to a contact, because its boxes have changed. The letters
    /// become due now.
    pub fn unplace_letters(&self, contact: ContactRowId) -> Result<(), StoreError> {
        self.connection
            .prepare_cached(
                "UPDATE letters_out SET provider = NULL, token = 0, attempts = 0, due_ms = 0
                 WHERE contact = ?1",
            )?
            .execute([contact])?;
        Ok(())
    }

    /// Deletes a letter that was deposited or is no longer needed.
    pub fn delete_letter(&self, message: MessageRowId) -> Result<(), StoreError> {
        self.connection
            .prepare_cached("DELETE FROM letters_out WHERE message = ?1")?
            .execute([message])?;
        Ok(())
    }

    /// Deletes all letters to a contact, which are no longer needed.
    pub fn delete_letters_to(&self, contact: ContactRowId) -> Result<(), StoreError> {
        self.connection
            .prepare_cached("DELETE FROM letters_out WHERE contact = ?1")?
            .execute([contact])?;
        Ok(())
    }

    /// Records that a letter was received. Returns false if it was received before.
    pub fn take_letter(
        &self,
        contact: ContactRowId,
        incarnation: u64,
        number: u64,
        now_ms: u64,
    ) -> Result<bool, StoreError> {
        let inserted = self
            .connection
            .prepare_cached("INSERT OR IGNORE INTO letters_in VALUES (?1, ?2, ?3, ?4)")?
            .execute((contact, bits(incarnation), bits(number), int(now_ms)))?;
        Ok(inserted > 0)
    }

    /// Returns whether a letter was received before.
    pub fn letter_was_taken(
        &self,
        contact: ContactRowId,
        incarnation: u64,
        number: u64,
    ) -> Result<bool, StoreError> {
        Ok(self
            .connection
            .prepare_cached(
                "SELECT 1 FROM letters_in WHERE contact = ?1 AND incarnation = ?2 AND number = ?3",
            )?
            .exists((contact, bits(incarnation), bits(number)))?)
    }

    /// Deletes the record of letters received before `before_ms`: their grants are too old to be
    /// accepted again.
    pub fn prune_letters(&self, before_ms: u64) -> Result<(), StoreError> {
        self.connection
            .prepare_cached("DELETE FROM letters_in WHERE taken_ms < ?1")?
            .execute([int(before_ms)])?;
        Ok(())
    }
}

fn parse_letter(row: &Row<'_>) -> rusqlite::Result<LetterRow> {
    let provider: Option<[u8; 32]> = row.get(4)?;
    let token = unbits(row.get(5)?);
    Ok(LetterRow {
        message: row.get(0)?,
        contact: row.get(1)?,
        id: LetterId(row.get(2)?),
        sealed: row.get(3)?,
        place: provider.map(|bytes| (PeerId::from_bytes(bytes), token)),
        attempts: row.get(6)?,
        sealed_ms: unbits(row.get(7)?),
    })
}
