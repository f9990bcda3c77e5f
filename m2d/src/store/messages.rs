//! Messages: everything that was committed under a message id.

use super::{Store, StoreError, int, unbits};
use rusqlite::types::Value;
use rusqlite::{OptionalExtension, Row};

/// Bytes of a content whose row is written again when it is erased.
const LARGE: i64 = 256;

/// What a message is. The numbers are the column's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i64)]
pub enum MessageKind {
    /// Something to show.
    Content = 0,
    /// Replaces the content of another.
    Edit = 1,
    /// Deletes another.
    Retract = 2,
    /// Says that others were read.
    Read = 3,
    /// Holds the place of one that its sender gave up.
    Skip = 4,
}

/// How far a message has come. The numbers are the column's and the API's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(i64)]
pub enum MessageState {
    /// Durable in the outbox.
    Queued = 1,
    /// Handed to a session.
    Sent = 2,
    /// In a mailbox of the recipient.
    Deposited = 3,
    /// Stored by the recipient, or received by us.
    Delivered = 4,
    /// Read by the recipient, or by us.
    Read = 5,
    /// Given up.
    Failed = 6,
    /// Its time to live ended first.
    Expired = 7,
}

impl MessageState {
    pub(super) fn from_column(value: i64) -> Result<Self, StoreError> {
        Ok(match value {
            1 => Self::Queued,
            2 => Self::Sent,
            3 => Self::Deposited,
            4 => Self::Delivered,
            5 => Self::Read,
            6 => Self::Failed,
            7 => Self::Expired,
            _ => return Err(StoreError::Corrupt("message state")),
        })
    }

    /// Whether the state can't change any more (but for Delivered becoming Read).
    pub const fn is_final(self) -> bool {
        matches!(
            self,
            Self::Delivered | Self::Read | Self::Failed | Self::Expired
        )
    }
}

/// Why a message's content is gone. The numbers are the column's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i64)]
pub enum Gone {
    /// It is there.
    No = 0,
    /// Its author deleted it for everyone.
    Retracted = 1,
    /// Its time to live ended.
    Expired = 2,
    /// It was erased here: with its contact's history, or because it is no longer kept. It is not
    /// shown.
    Erased = 3,
}

/// One message as stored.
#[derive(Debug, Clone)]
pub struct MessageRow {
    /// The row's number: the order of arrival.
    pub row: i64,
    /// The 128-bit random id.
    pub id: [u8; 16],
    /// The other side's contact row.
    pub contact: i64,
    /// What it is.
    pub kind: MessageKind,
    /// We wrote it.
    pub own: bool,
    /// The sender's incarnation, for a received message; else 0.
    pub incarnation: u64,
    /// How far it has come.
    pub state: MessageState,
    /// The author's clock.
    pub author_ms: u64,
    /// When it was stored here.
    pub stored_ms: u64,
    /// The hash of what was committed.
    pub hash: [u8; 32],
    /// Empty for UTF-8 text.
    pub media_type: String,
    /// The content, while it is there.
    pub content: Option<Vec<u8>>,
    /// Whether and why the content is gone.
    pub gone: Gone,
    /// When its time to live ends.
    pub expires_ms: Option<u64>,
}

/// The columns that say whose a message is and how far it has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MessageHead {
    /// The row's number.
    pub row: i64,
    /// The other side's contact row.
    pub contact: i64,
    /// What it is.
    pub kind: i64,
    /// We wrote it.
    pub own: bool,
    /// How far it has come.
    pub state: MessageState,
    /// The hash of what was committed.
    pub hash: [u8; 32],
    /// Its content is gone.
    pub gone: bool,
}

impl Store {
    /// Stores a new message and returns its row number. The row number of `message` is ignored.
    pub fn insert_message(&self, message: &MessageRow) -> Result<i64, StoreError> {
        self.connection
            .prepare_cached(
                "INSERT INTO messages(id, contact, kind, own, incarnation, state, author_ms,
                   stored_ms, hash, media_type, content, gone, expires_ms)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
            )?
            .execute((
                message.id,
                message.contact,
                message.kind as i64,
                message.own,
                super::bits(message.incarnation),
                message.state as i64,
                int(message.author_ms),
                int(message.stored_ms),
                message.hash,
                &message.media_type,
                &message.content,
                message.gone as i64,
                message.expires_ms.map(int),
            ))?;
        Ok(self.connection.last_insert_rowid())
    }

    /// Takes a message back that was stored in this transaction and goes nowhere.
    pub fn delete_message(&self, row: i64) -> Result<(), StoreError> {
        self.connection
            .prepare_cached("DELETE FROM messages WHERE row = ?1")?
            .execute([row])?;
        Ok(())
    }

    /// What is committed under an id.
    pub fn message_head(&self, id: &[u8; 16]) -> Result<Option<MessageHead>, StoreError> {
        self.connection
            .prepare_cached(
                "SELECT row, contact, kind, own, state, hash,
                   gone <> 0 OR row <= coalesce(
                     (SELECT history FROM erasures WHERE contact = messages.contact), 0)
                 FROM messages WHERE id = ?1",
            )?
            .query_row([id], |row| Ok(parse_head(row)))
            .optional()?
            .transpose()
    }

    /// The id of a message's row.
    pub fn message_id(&self, row: i64) -> Result<[u8; 16], StoreError> {
        Ok(self
            .connection
            .prepare_cached("SELECT id FROM messages WHERE row = ?1")?
            .query_row([row], |row| row.get(0))?)
    }

    /// Moves a message to another state.
    pub fn set_message_state(&self, row: i64, state: MessageState) -> Result<(), StoreError> {
        self.connection
            .prepare_cached("UPDATE messages SET state = ?2 WHERE row = ?1")?
            .execute((row, state as i64))?;
        Ok(())
    }

    /// Marks a message as failed, with the reason's number.
    pub fn set_message_failed(&self, row: i64, failure: i64) -> Result<(), StoreError> {
        self.connection
            .prepare_cached("UPDATE messages SET state = ?2, failure = ?3 WHERE row = ?1")?
            .execute((row, MessageState::Failed as i64, failure))?;
        Ok(())
    }

    /// Replaces a message's content.
    pub fn edit_message(
        &self,
        row: i64,
        media_type: &str,
        content: &[u8],
    ) -> Result<(), StoreError> {
        self.unindex(row)?;
        self.connection
            .prepare_cached(
                "UPDATE messages SET media_type = ?2, content = ?3, edited = 1 WHERE row = ?1",
            )?
            .execute((row, media_type, content))?;
        match std::str::from_utf8(content) {
            Ok(text) if media_type.is_empty() => self.reindex(row, text),
            _ => Ok(()),
        }
    }

    /// Deletes a message's content for good. Id and hash stay, so that a late copy is known.
    pub fn erase_message(&self, row: i64, why: Gone) -> Result<(), StoreError> {
        self.unindex(row)?;
        let length: Option<i64> = self
            .connection
            .prepare_cached("SELECT length(content) FROM messages WHERE row = ?1")?
            .query_row([row], |row| row.get(0))
            .optional()?
            .flatten();
        self.connection
            .prepare_cached(
                "UPDATE messages SET content = NULL, media_type = '', gone = ?2,
                   expires_ms = NULL WHERE row = ?1",
            )?
            .execute((row, why as i64))?;
        if length.is_some_and(|length| length >= LARGE) {
            self.write_again(row)?;
        }
        Ok(())
    }

    /// Deletes a row that became small and inserts it as it is. A deletion joins pages that are
    /// nearly empty, which a change in place does not: without this no page becomes free.
    fn write_again(&self, row: i64) -> Result<(), StoreError> {
        if self.connection.is_autocommit() {
            // What refers to the row allows this only within a transaction.
            return Ok(());
        }
        let mut statement = self
            .connection
            .prepare_cached("SELECT * FROM messages WHERE row = ?1")?;
        let count = statement.column_count();
        let values: Vec<Value> =
            statement.query_row([row], |row| (0..count).map(|at| row.get(at)).collect())?;
        let places = vec!["?"; count].join(", ");
        self.connection
            .execute_batch("PRAGMA defer_foreign_keys = ON")?;
        self.connection
            .prepare_cached("DELETE FROM messages WHERE row = ?1")?
            .execute([row])?;
        self.connection
            .prepare_cached(&format!("INSERT INTO messages VALUES ({places})"))?
            .execute(rusqlite::params_from_iter(values))?;
        Ok(())
    }

    /// Takes a tombstone away. Says whether there was one of this contact.
    pub fn take_tombstone(&self, id: &[u8; 16], contact: i64) -> Result<bool, StoreError> {
        let changed = self
            .connection
            .prepare_cached("DELETE FROM tombstones WHERE id = ?1 AND contact = ?2")?
            .execute((id, contact))?;
        Ok(changed > 0)
    }

    /// When the next message's time to live ends.
    pub fn next_expiry(&self) -> Result<Option<u64>, StoreError> {
        let next: Option<i64> = self
            .connection
            .prepare_cached("SELECT min(expires_ms) FROM messages WHERE expires_ms IS NOT NULL")?
            .query_row([], |row| row.get(0))?;
        Ok(next.map(unbits))
    }

    /// Up to `limit` messages (row, contact) whose time to live has ended.
    pub fn expired(&self, now_ms: u64, limit: u32) -> Result<Vec<(i64, i64)>, StoreError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT row, contact FROM messages WHERE expires_ms <= ?1 ORDER BY expires_ms LIMIT ?2",
        )?;
        let rows =
            statement.query_map((int(now_ms), limit), |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

fn parse_head(row: &Row<'_>) -> Result<MessageHead, StoreError> {
    Ok(MessageHead {
        row: row.get(0)?,
        contact: row.get(1)?,
        kind: row.get(2)?,
        own: row.get(3)?,
        state: MessageState::from_column(row.get(4)?)?,
        hash: row.get(5)?,
        gone: row.get(6)?,
    })
}
