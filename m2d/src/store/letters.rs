//! Letters to be deposited, and those that were taken (spec §5, §9).

use super::{Store, StoreError, bits, int, unbits};
use m2_crypto::PeerId;
use m2_crypto::envelope::MAX_GRANT_AHEAD_S;
use m2_net::delivery::{ContentHash, MessageId};
use m2_net::wire::mailbox::LetterId;
use rusqlite::{OptionalExtension, Row};

/// Since when messages wait that are to get a letter, Unix milliseconds.
#[derive(Debug, Clone, Copy)]
pub struct WaitingSince {
    /// Times after this one were written by a clock that was wrong, and are taken for long ago.
    pub latest_ms: u64,
    /// Those that have none: when they were queued, or earlier.
    pub queued_ms: u64,
    /// Those whose letter a provider took: when it did, or earlier.
    pub deposited_ms: u64,
}

/// How long messages wait before they get a letter, in milliseconds.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// Those that have none.
    pub queued_ms: u64,
    /// Those whose letter a provider took.
    pub deposited_ms: u64,
}

/// A message that waits without a letter.
#[derive(Debug, Clone)]
pub struct Undeposited {
    /// The message's row.
    pub message: i64,
    /// Its id.
    pub id: MessageId,
    /// The hash of what is queued under it.
    pub hash: ContentHash,
}

/// A letter to be deposited.
#[derive(Debug, Clone)]
pub struct LetterRow {
    /// The row of the message inside.
    pub message: i64,
    /// For whom.
    pub contact: i64,
    /// Its name at the provider.
    pub id: LetterId,
    /// Its bytes.
    pub sealed: Vec<u8>,
    /// Where it is being deposited, with which token.
    pub place: Option<(PeerId, u64)>,
    /// Attempts that failed.
    pub attempts: u32,
    /// When it was sealed.
    pub sealed_ms: u64,
}

const LETTER: &str = "message, contact, id, sealed, provider, token, attempts, sealed_ms";

/// How far ahead of its receiver's clock a letter's grant may be, in milliseconds.
const GRANT_AHEAD_MS: u64 = MAX_GRANT_AHEAD_S * 1_000;

/// Messages for a contact (`?1`) of which no letter is under way.
const WITHOUT_LETTER: &str = "FROM outbox o
       LEFT JOIN letters_out l ON l.message = o.message
       LEFT JOIN deposits d ON d.message = o.message
     WHERE o.contact = ?1 AND l.message IS NULL AND o.state IN (1, 2, 3, 8)";

impl Store {
    /// Messages for a contact that have waited for so long that they get a letter, the oldest
    /// first.
    pub fn undeposited(
        &self,
        contact: i64,
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

    /// When the next message for a contact has waited long enough; times after `latest_ms` are
    /// taken for long ago.
    pub fn next_undeposited(
        &self,
        contact: i64,
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

    /// Notes that a provider took a letter with this message.
    pub fn note_deposit(&self, letter: &LetterRow, now_ms: u64) -> Result<(), StoreError> {
        self.connection
            .prepare_cached("INSERT OR REPLACE INTO deposits VALUES (?1, ?2, ?3)")?
            .execute((letter.message, letter.contact, int(now_ms)))?;
        Ok(())
    }

    /// Nothing is under way after a start: what was tried before is due now.
    pub fn resume_letters(&self, now_ms: u64) -> Result<(), StoreError> {
        self.connection
            .prepare_cached(
                "UPDATE letters_out SET due_ms = ?1 WHERE provider IS NOT NULL AND due_ms > ?1",
            )?
            .execute([int(now_ms)])?;
        Ok(())
    }

    /// Stores a letter before its first attempt, with when it was sealed and when it is due.
    pub fn insert_letter(
        &self,
        of: &Undeposited,
        contact: i64,
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

    /// Letters that are due, the longest waiting first.
    pub fn due_letters(&self, now_ms: u64, limit: u32) -> Result<Vec<LetterRow>, StoreError> {
        let mut statement = self.connection.prepare_cached(&format!(
            "SELECT {LETTER} FROM letters_out WHERE due_ms <= ?1 ORDER BY due_ms LIMIT ?2"
        ))?;
        let rows = statement.query_map((int(now_ms), limit), parse_letter)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// When the next letter is due.
    pub fn next_letter_due(&self) -> Result<Option<u64>, StoreError> {
        let due: Option<i64> = self
            .connection
            .prepare_cached("SELECT min(due_ms) FROM letters_out")?
            .query_row([], |row| row.get(0))?;
        Ok(due.map(unbits))
    }

    /// A letter by its name.
    pub fn letter(&self, id: &LetterId) -> Result<Option<LetterRow>, StoreError> {
        Ok(self
            .connection
            .prepare_cached(&format!("SELECT {LETTER} FROM letters_out WHERE id = ?1"))?
            .query_row([id.0], parse_letter)
            .optional()?)
    }

    /// Sets where a letter goes, how often that failed, and when it is due again.
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

    /// The places where letters to a contact were going are no good any more; they stay due.
    pub fn unplace_letters(&self, contact: i64) -> Result<(), StoreError> {
        self.connection
            .prepare_cached(
                "UPDATE letters_out SET provider = NULL, token = 0, attempts = 0, due_ms = 0
                 WHERE contact = ?1",
            )?
            .execute([contact])?;
        Ok(())
    }

    /// A letter was deposited, or is of no use any more.
    pub fn delete_letter(&self, message: i64) -> Result<(), StoreError> {
        self.connection
            .prepare_cached("DELETE FROM letters_out WHERE message = ?1")?
            .execute([message])?;
        Ok(())
    }

    /// Letters to a contact that were not deposited are of no use any more.
    pub fn delete_letters_to(&self, contact: i64) -> Result<(), StoreError> {
        self.connection
            .prepare_cached("DELETE FROM letters_out WHERE contact = ?1")?
            .execute([contact])?;
        Ok(())
    }

    /// Notes that a letter was taken. False if it was taken before.
    pub fn take_letter(
        &self,
        contact: i64,
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

    /// Whether a letter was taken before.
    pub fn letter_was_taken(
        &self,
        contact: i64,
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

    /// Forgets letters that were taken before `before_ms`: their grants are too old by now.
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
