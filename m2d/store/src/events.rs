//! The durable event log (docs/spec/storage.md#the-event-log).

use super::{Store, StoreError, int};
use crate::{ContactRowId, MessageRowId};

/// The kinds of events. The numbers are values of the column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(i64)]
pub enum EventKind {
    /// A message was received; `message` is its row.
    MessageReceived = 1,
    /// The state of a sent message changed; `detail` is state + 16 × failure.
    MessageState = 2,
    /// A received message's content was replaced.
    MessageEdited = 3,
    /// A received message was deleted by its author.
    MessageRetracted = 4,
    /// A stranger asked to become a contact.
    ContactRequest = 5,
    /// Both owners agreed to be contacts.
    ContactAdded = 6,
    /// The peer declined.
    ContactDeclined = 7,
    /// The local owner removed the contact.
    ContactRemoved = 8,
    /// Messages are missing; `detail` is their number.
    Gap = 9,
    /// A message's time to live ended.
    MessageExpired = 10,
    /// Messages of the contact are lost; `detail` is their number, 0 if unknown.
    HistoryLost = 11,
    /// The local store is older than the contact's view of it (`detail` 1) or in use twice (2).
    OwnConflict = 12,
    /// The contact's store is older than the local view of it (`detail` 1) or in use twice (2).
    ContactConflict = 13,
    /// A contact's reaction to a message changed.
    MessageReacted = 14,
}

/// An entry to append.
#[derive(Debug, Clone, Copy)]
pub struct NewEvent {
    /// The kind of event.
    pub kind: EventKind,
    /// The row of the contact concerned.
    pub contact: ContactRowId,
    /// The row of the message concerned.
    pub message: Option<MessageRowId>,
    /// A number whose meaning depends on the kind.
    pub detail: i64,
}

impl EventKind {
    /// Returns whether an event of this kind includes the content of its message.
    pub(super) const fn shows_message(self) -> bool {
        matches!(
            self,
            Self::MessageReceived | Self::MessageEdited | Self::MessageReacted
        )
    }

    pub(super) fn from_column(value: i64) -> Result<Self, StoreError> {
        Ok(match value {
            1 => Self::MessageReceived,
            2 => Self::MessageState,
            3 => Self::MessageEdited,
            4 => Self::MessageRetracted,
            5 => Self::ContactRequest,
            6 => Self::ContactAdded,
            7 => Self::ContactDeclined,
            8 => Self::ContactRemoved,
            9 => Self::Gap,
            10 => Self::MessageExpired,
            11 => Self::HistoryLost,
            12 => Self::OwnConflict,
            13 => Self::ContactConflict,
            14 => Self::MessageReacted,
            _ => return Err(StoreError::Corrupt("event")),
        })
    }
}

impl Store {
    /// Appends an entry. Returns its number.
    pub fn append_event(&self, event: &NewEvent, now_ms: u64) -> Result<i64, StoreError> {
        self.connection
            .prepare_cached(
                "INSERT INTO events(time_ms, kind, contact, message, detail)
                 VALUES (?1, ?2, ?3, ?4, ?5)",
            )?
            .execute((
                int(now_ms),
                event.kind as i64,
                event.contact,
                event.message,
                event.detail,
            ))?;
        Ok(self.connection.last_insert_rowid())
    }

    /// Returns the number of the newest entry ever appended, 0 before the first.
    pub fn newest_event(&self) -> Result<i64, StoreError> {
        let newest: Option<i64> =
            self.connection
                .query_row("SELECT max(seq) FROM events", [], |row| row.get(0))?;
        Ok(newest.unwrap_or(0))
    }

    /// Deletes up to `limit` of the entries that are older than `before_ms` or beyond the newest
    /// `keep` (1 or more). Returns whether more of them remain. The newest entry is always kept,
    /// because the next number follows from it.
    pub fn prune_events(&self, before_ms: u64, keep: u64, limit: u32) -> Result<bool, StoreError> {
        let newest = self.newest_event()?;
        // Times increase with the numbers, so the deleted entries are the oldest part of the log.
        let deleted = self
            .connection
            .prepare_cached(
                "DELETE FROM events WHERE seq < ?1 + (SELECT min(seq) FROM events) AND seq < ?2
                   AND (seq <= ?3 OR time_ms < ?4)",
            )?
            .execute((
                limit,
                newest,
                newest.saturating_sub(int(keep.max(1))),
                int(before_ms),
            ))?;
        Ok(deleted > 0 && deleted >= limit as usize)
    }
}
