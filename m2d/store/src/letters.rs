//! Outgoing letters that wait for deposit (docs/spec/letter.md, docs/spec/delivery.md#by-letter).

use super::{Store, StoreError, int, unbits};
use crate::{ContactRowId, MessageRowId};
use m2_crypto::PeerId;
use m2_crypto::deposit::{DepositToken, TOKEN_BYTES};
use rusqlite::Row;

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

/// A letter that waits for deposit.
#[derive(Debug, Clone)]
pub struct LetterRow {
    /// The row of the message in it.
    pub message: MessageRowId,
    /// The row of the recipient.
    pub contact: ContactRowId,
    /// The letter, once it is sealed.
    pub sealed: Option<SealedLetter>,
    /// The number of failed attempts.
    pub attempts: u32,
}

/// A letter that is sealed for one box and one token.
#[derive(Debug, Clone)]
pub struct SealedLetter {
    /// The provider of the box.
    pub provider: PeerId,
    /// The token.
    pub token: DepositToken,
    /// The sealed bytes.
    pub bytes: Vec<u8>,
    /// The time at which it was sealed, in Unix milliseconds.
    pub sealed_ms: u64,
}

const LETTER: &str = "message, contact, provider, token, sealed, attempts, sealed_ms";

/// How far the time of a deposit may be ahead of this daemon's clock, in milliseconds: one day.
const DEPOSIT_AHEAD_MS: u64 = 86_400_000;

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
    ) -> Result<Vec<MessageRowId>, StoreError> {
        let mut statement = self.connection.prepare_cached(&format!(
            "SELECT o.message {WITHOUT_LETTER}
               AND CASE o.state
                     WHEN 8 THEN d.deposited_ms NOT BETWEEN ?3 + 1 AND ?5 + {DEPOSIT_AHEAD_MS}
                     ELSE o.queued_ms NOT BETWEEN ?2 + 1 AND ?5 END
             ORDER BY o.message LIMIT ?4"
        ))?;
        let latest = int(since.latest_ms);
        let since = (int(since.queued_ms), int(since.deposited_ms));
        let bounds = (contact, since.0, since.1, limit, latest);
        let rows = statement.query_map(bounds, |row| row.get(0))?;
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
                     WHEN 8 THEN iif(d.deposited_ms > ?4 + {DEPOSIT_AHEAD_MS}, 0,
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
            .prepare_cached("UPDATE letters_out SET due_ms = ?1, leased = 0 WHERE leased = 1")?
            .execute([int(now_ms)])?;
        Ok(())
    }

    /// Inserts a letter that is not sealed yet and is due at `due_ms`, in Unix milliseconds.
    pub fn insert_letter(
        &self,
        message: MessageRowId,
        contact: ContactRowId,
        due_ms: u64,
    ) -> Result<(), StoreError> {
        self.connection
            .prepare_cached(
                "INSERT INTO letters_out(message, contact, due_ms) VALUES (?1, ?2, ?3)",
            )?
            .execute((message, contact, int(due_ms)))?;
        Ok(())
    }

    /// Returns letters that are due, the earliest first.
    pub fn due_letters(&self, now_ms: u64, limit: u32) -> Result<Vec<LetterRow>, StoreError> {
        let mut statement = self.connection.prepare_cached(&format!(
            "SELECT {LETTER} FROM letters_out WHERE due_ms <= ?1 ORDER BY due_ms LIMIT ?2"
        ))?;
        parse_letters(statement.query((int(now_ms), limit))?)
    }

    /// Returns when the next letter is due.
    pub fn next_letter_due(&self) -> Result<Option<u64>, StoreError> {
        let due: Option<i64> = self
            .connection
            .prepare_cached("SELECT min(due_ms) FROM letters_out")?
            .query_row([], |row| row.get(0))?;
        Ok(due.map(unbits))
    }

    /// Returns the letter with a message.
    pub fn letter(&self, message: MessageRowId) -> Result<Option<LetterRow>, StoreError> {
        let query = format!("SELECT {LETTER} FROM letters_out WHERE message = ?1");
        let mut statement = self.connection.prepare_cached(&query)?;
        let mut rows = statement.query([message])?;
        rows.next()?.map(parse_letter).transpose()
    }

    /// Returns the letters to a contact.
    pub fn letters_to(&self, contact: ContactRowId) -> Result<Vec<LetterRow>, StoreError> {
        let query = format!("SELECT {LETTER} FROM letters_out WHERE contact = ?1");
        let mut statement = self.connection.prepare_cached(&query)?;
        parse_letters(statement.query([contact])?)
    }

    /// Updates a letter and its due time.
    pub fn update_letter(&self, letter: &LetterRow, due_ms: u64) -> Result<(), StoreError> {
        let sealed = letter.sealed.as_ref();
        self.connection
            .prepare_cached(
                "UPDATE letters_out SET provider = ?2, token = ?3, sealed = ?4, attempts = ?5,
                   sealed_ms = ?6, due_ms = ?7, leased = 0 WHERE message = ?1",
            )?
            .execute((
                letter.message,
                sealed.map(|sealed| sealed.provider.as_bytes()),
                sealed.map(|sealed| sealed.token.to_bytes()),
                sealed.map(|sealed| &sealed.bytes),
                letter.attempts,
                sealed.map_or(0, |sealed| int(sealed.sealed_ms)),
                int(due_ms),
            ))?;
        Ok(())
    }

    /// Records that a letter is being deposited. Without another report it is due again at `due_ms`, in
    /// Unix milliseconds.
    pub fn lease_letter(&self, message: MessageRowId, due_ms: u64) -> Result<(), StoreError> {
        self.connection
            .prepare_cached("UPDATE letters_out SET due_ms = ?2, leased = 1 WHERE message = ?1")?
            .execute((message, int(due_ms)))?;
        Ok(())
    }

    /// Makes the letters to a contact due now that are not being deposited, because its boxes have
    /// changed.
    pub fn hasten_letters(&self, contact: ContactRowId) -> Result<(), StoreError> {
        self.connection
            .prepare_cached(
                "UPDATE letters_out SET due_ms = 0, attempts = 0
                 WHERE contact = ?1 AND leased = 0",
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
}

fn parse_letters(mut rows: rusqlite::Rows<'_>) -> Result<Vec<LetterRow>, StoreError> {
    let mut letters = Vec::new();
    while let Some(row) = rows.next()? {
        letters.push(parse_letter(row)?);
    }
    Ok(letters)
}

fn parse_letter(row: &Row<'_>) -> Result<LetterRow, StoreError> {
    let provider: Option<[u8; 32]> = row.get(2)?;
    let token: Option<[u8; TOKEN_BYTES]> = row.get(3)?;
    let bytes: Option<Vec<u8>> = row.get(4)?;
    let sealed = match (provider, token, bytes) {
        (Some(provider), Some(token), Some(bytes)) => Some(SealedLetter {
            provider: PeerId::from_bytes(provider),
            token: DepositToken::from_bytes(&token).ok_or(StoreError::Corrupt("letter"))?,
            bytes,
            sealed_ms: unbits(row.get(6)?),
        }),
        _ => None,
    };
    Ok(LetterRow {
        message: row.get(0)?,
        contact: row.get(1)?,
        sealed,
        attempts: row.get(5)?,
    })
}
