//! The durable event log (spec §6).

use super::{Store, StoreError, int};

/// What happened. The numbers are the column's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i64)]
pub enum EventKind {
    /// A message came; `message` is its row.
    MessageReceived = 1,
    /// An own message's state changed; `detail` is state + 16 × failure.
    MessageState = 2,
    /// A received message's content was replaced.
    MessageEdited = 3,
    /// A received message was deleted by its author.
    MessageRetracted = 4,
    /// A stranger asks to become a contact.
    ContactRequest = 5,
    /// Both agreed.
    ContactAdded = 6,
    /// The peer declined.
    ContactDeclined = 7,
    /// The contact was removed here.
    ContactRemoved = 8,
    /// Messages are missing; `detail` says how many.
    Gap = 9,
    /// A message's time to live ended.
    MessageExpired = 10,
    /// Messages of the contact are lost; `detail` says how many, 0 when that is not known.
    HistoryLost = 11,
    /// The own store is older than what the contact has seen (`detail` 1) or in use twice (2).
    OwnConflict = 12,
    /// The contact's store is older than what was seen of it (`detail` 1) or in use twice (2).
    ContactConflict = 13,
}

/// An entry to append.
#[derive(Debug, Clone, Copy)]
pub struct NewEvent {
    /// What happened.
    pub kind: EventKind,
    /// With whom: a contact row.
    pub contact: i64,
    /// To which message row.
    pub message: Option<i64>,
    /// A number, as the kind says.
    pub detail: i64,
}

impl EventKind {
    /// Whether such an event shows its message's content.
    pub(super) const fn shows_message(self) -> bool {
        matches!(self, Self::MessageReceived | Self::MessageEdited)
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
            _ => return Err(StoreError::Corrupt("event")),
        })
    }
}

impl Store {
    /// Appends an entry and returns its number.
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

    /// The number of the newest entry ever made; 0 before the first.
    pub fn newest_event(&self) -> Result<i64, StoreError> {
        let newest: Option<i64> =
            self.connection
                .query_row("SELECT max(seq) FROM events", [], |row| row.get(0))?;
        Ok(newest.unwrap_or(0))
    }

    /// Deletes up to `limit` of the entries that are older than `before_ms` or beyond the newest
    /// `keep` (1 or more). Returns whether more of them are left. The newest stays whatever its age:
    /// the next number follows from it.
    pub fn prune_events(&self, before_ms: u64, keep: u64, limit: u32) -> Result<bool, StoreError> {
        let newest = self.newest_event()?;
        // Times rise with the numbers: what is deleted is the oldest part of the log.
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
