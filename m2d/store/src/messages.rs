//! Messages: everything committed under a message id.

use super::{Store, StoreError, int, unbits};
use crate::{ContactRowId, MessageRowId};
use rusqlite::types::Value;
use rusqlite::{OptionalExtension, Row};

/// The size of a content in bytes from which its row is rewritten after erasure.
const LARGE: i64 = 256;

/// The kinds of messages. The numbers are values of the column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i64)]
pub enum MessageKind {
    /// Content that is shown.
    Content = 0,
    /// A replacement of another message's content.
    Edit = 1,
    /// A deletion of another message.
    Retract = 2,
    /// A receipt for other messages.
    Read = 3,
    /// A placeholder for a message that its sender gave up.
    Skip = 4,
    /// A reaction to another message.
    Reaction = 5,
    /// A message of a kind that this version does not know.
    Unknown = 6,
}

/// The delivery states of a message. The numbers are values of the column and of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(i64)]
pub enum MessageState {
    /// Stored durably in the outbox.
    Queued = 1,
    /// Passed to a session.
    Sent = 2,
    /// Deposited in a mailbox of the recipient.
    Deposited = 3,
    /// Stored by the recipient, or received here.
    Delivered = 4,
    /// Read by the recipient, or read here.
    Read = 5,
    /// Given up by the sender.
    Failed = 6,
    /// Expired before it was delivered.
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

    /// Returns this state as the detail of an event, with the number of the failure, or 0.
    pub const fn event_detail(self, failure: i64) -> i64 {
        self as i64 + 16 * failure
    }

    /// Returns the state and the number of the failure of an event's detail; `None` for a state of a
    /// newer version.
    pub fn of_event(detail: i64) -> Option<(Self, i64)> {
        let state = Self::from_column(detail % 16).ok()?;
        Some((state, detail / 16))
    }

    /// Returns whether the state is final. The only later change is from Delivered to Read.
    pub const fn is_final(self) -> bool {
        matches!(
            self,
            Self::Delivered | Self::Read | Self::Failed | Self::Expired
        )
    }
}

/// The reason for which a message's content is gone. The numbers are values of the column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i64)]
pub enum Gone {
    /// The content exists.
    No = 0,
    /// The author deleted it for everyone.
    Retracted = 1,
    /// Its time to live ended.
    Expired = 2,
    /// It was erased here, with its contact's history or because it is no longer kept. The message
    /// is not shown.
    Erased = 3,
}

/// A row of the messages table.
#[derive(Debug, Clone)]
pub struct MessageRow {
    /// The number of the row, which is the order of arrival.
    pub row: MessageRowId,
    /// The 128-bit random id.
    pub id: [u8; 16],
    /// The contact row of the other party.
    pub contact: ContactRowId,
    /// The kind of message.
    pub kind: MessageKind,
    /// True if it was written here.
    pub own: bool,
    /// The sender's incarnation for a received message, otherwise 0.
    pub incarnation: u64,
    /// The delivery state.
    pub state: MessageState,
    /// The time by the author's clock, in Unix milliseconds.
    pub author_ms: u64,
    /// The time at which it was stored here, in Unix milliseconds.
    pub stored_ms: u64,
    /// The hash of the committed payload.
    pub hash: [u8; 32],
    /// The media type; empty for UTF-8 text.
    pub media_type: String,
    /// The content, unless it is gone.
    pub content: Option<Vec<u8>>,
    /// The reason for which the content is gone.
    pub gone: Gone,
    /// The time at which its time to live ends, in Unix milliseconds.
    pub expires_ms: Option<u64>,
    /// The message to which it replies.
    pub reply_to: Option<[u8; 16]>,
    /// The first message of its thread.
    pub thread: Option<[u8; 16]>,
}

/// The columns that identify a message and its state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MessageHead {
    /// The number of the row.
    pub row: MessageRowId,
    /// The contact row of the other party.
    pub contact: ContactRowId,
    /// The kind of message, as stored in the column.
    pub kind: i64,
    /// True if it was written here.
    pub own: bool,
    /// The delivery state.
    pub state: MessageState,
    /// The hash of the committed payload.
    pub hash: [u8; 32],
    /// True if the content is gone.
    pub gone: bool,
}

impl Store {
    /// Stores a new message and returns its row number. Ignores the row number of `message`.
    pub fn insert_message(&self, message: &MessageRow) -> Result<MessageRowId, StoreError> {
        self.connection
            .prepare_cached(
                "INSERT INTO messages(id, contact, kind, own, incarnation, state, author_ms,
                   stored_ms, hash, media_type, content, gone, expires_ms, reply_to, thread)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)",
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
                message.reply_to,
                message.thread,
            ))?;
        Ok(MessageRowId::new(self.connection.last_insert_rowid()))
    }

    /// Deletes a message that was stored in the same transaction and is not going to be sent.
    pub fn delete_message(&self, row: MessageRowId) -> Result<(), StoreError> {
        self.connection
            .prepare_cached("DELETE FROM messages WHERE row = ?1")?
            .execute([row])?;
        Ok(())
    }

    /// Returns the head of the message under an id.
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

    /// Returns whether a message of a contact's conversation belongs to a thread. Reads all of them: for
    /// threads whose first message is not here.
    pub fn has_thread(&self, contact: ContactRowId, thread: &[u8; 16]) -> Result<bool, StoreError> {
        Ok(self
            .connection
            .prepare_cached(
                "SELECT EXISTS (SELECT 1 FROM messages
                   WHERE contact = ?1 AND kind = 0 AND gone < 2 AND thread = ?2)",
            )?
            .query_row((contact, thread), |row| row.get(0))?)
    }

    /// Returns the id of a message by its row.
    pub fn message_id(&self, row: MessageRowId) -> Result<[u8; 16], StoreError> {
        Ok(self
            .connection
            .prepare_cached("SELECT id FROM messages WHERE row = ?1")?
            .query_row([row], |row| row.get(0))?)
    }

    /// Sets the state of a message.
    pub fn set_message_state(
        &self,
        row: MessageRowId,
        state: MessageState,
    ) -> Result<(), StoreError> {
        self.connection
            .prepare_cached("UPDATE messages SET state = ?2 WHERE row = ?1")?
            .execute((row, state as i64))?;
        Ok(())
    }

    /// Marks a message as failed, with the number of the reason.
    pub fn set_message_failed(&self, row: MessageRowId, failure: i64) -> Result<(), StoreError> {
        self.connection
            .prepare_cached("UPDATE messages SET state = ?2, failure = ?3 WHERE row = ?1")?
            .execute((row, MessageState::Failed as i64, failure))?;
        Ok(())
    }

    /// Replaces the content of a message.
    pub fn edit_message(
        &self,
        row: MessageRowId,
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

    /// Erases the content of a message permanently. Id and hash are kept, so that a late copy is
    /// recognised.
    pub fn erase_message(&self, row: MessageRowId, why: Gone) -> Result<(), StoreError> {
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
                   expires_ms = NULL, reply_to = NULL, thread = NULL WHERE row = ?1",
            )?
            .execute((row, why as i64))?;
        self.connection
            .prepare_cached("DELETE FROM reactions WHERE message = ?1")?
            .execute([row])?;
        if length.is_some_and(|length| length >= LARGE) {
            self.write_again(row)?;
        }
        Ok(())
    }

    /// Deletes a row that has become small and inserts it again. Deleting merges pages that are
    /// nearly empty, but an update in place does not: without this no page would become free.
    fn write_again(&self, row: MessageRowId) -> Result<(), StoreError> {
        if self.connection.is_autocommit() {
            // Foreign keys that refer to the row allow this only in a transaction.
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

    /// Removes a tombstone. Returns whether the contact had one for this id.
    pub fn take_tombstone(&self, id: &[u8; 16], contact: ContactRowId) -> Result<bool, StoreError> {
        let changed = self
            .connection
            .prepare_cached("DELETE FROM tombstones WHERE id = ?1 AND contact = ?2")?
            .execute((id, contact))?;
        Ok(changed > 0)
    }

    /// Returns when the next time to live ends.
    pub fn next_expiry(&self) -> Result<Option<u64>, StoreError> {
        let next: Option<i64> = self
            .connection
            .prepare_cached("SELECT min(expires_ms) FROM messages WHERE expires_ms IS NOT NULL")?
            .query_row([], |row| row.get(0))?;
        Ok(next.map(unbits))
    }

    /// Returns up to `limit` messages (row, contact) whose time to live has ended.
    pub fn expired(
        &self,
        now_ms: u64,
        limit: u32,
    ) -> Result<Vec<(MessageRowId, ContactRowId)>, StoreError> {
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
