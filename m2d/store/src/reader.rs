//! Concurrent reads for front-ends: history, search and the event log.

use super::search::match_expression;
use super::usage::{USAGE, Usage, parse_usage};
use super::{EventKind, Gone, MessageState, StoreError, unbits};
use crate::{ContactRowId, MessageRowId};
use m2_crypto::PeerId;
use rusqlite::{CachedStatement, Connection, OptionalExtension, Row};

/// A read-only connection.
#[derive(Debug)]
pub struct Reader {
    pub(super) connection: Connection,
}

/// A message with its peer, as front-ends see it.
#[derive(Debug, Clone)]
pub struct ShownMessage {
    /// The number of the row, which is its position in the conversation.
    pub row: MessageRowId,
    /// The message id.
    pub id: [u8; 16],
    /// The peer id of the other party.
    pub peer_id: PeerId,
    /// True if it was written here.
    pub own: bool,
    /// The delivery state.
    pub state: MessageState,
    /// The reason for a failure, as a number of the engine's `Failure`, or 0.
    pub failure: i64,
    /// The time by the author's clock, in Unix milliseconds.
    pub author_ms: u64,
    /// The time at which it was stored here, in Unix milliseconds.
    pub stored_ms: u64,
    /// The media type; empty for UTF-8 text.
    pub media_type: String,
    /// The content, unless it is gone.
    pub content: Option<Vec<u8>>,
    /// True if its author replaced the content.
    pub edited: bool,
    /// The reason for which the content is gone.
    pub gone: Gone,
    /// The time at which its time to live ends, in Unix milliseconds.
    pub expires_ms: Option<u64>,
    /// The message to which it replies.
    pub reply_to: Option<[u8; 16]>,
    /// The first message of its thread.
    pub thread: Option<[u8; 16]>,
    /// The reaction of this side, then of the contact; empty for none.
    pub reactions: [String; 2],
}

/// A part of a conversation, and the order in which it is read.
#[derive(Debug, Clone, Copy)]
pub struct Span {
    /// The row after which it begins.
    pub after: MessageRowId,
    /// The row before which it ends.
    pub before: MessageRowId,
    /// True for the oldest message first, false for the newest.
    pub is_forward: bool,
}

impl From<MessageRowId> for Span {
    /// Returns the messages before a row, newest first.
    fn from(before: MessageRowId) -> Self {
        Self {
            after: MessageRowId::default(),
            before,
            is_forward: false,
        }
    }
}

/// Messages in the order in which they were asked for.
#[derive(Debug, Default)]
pub struct HistoryPage {
    /// The requested number of messages, or fewer if the limit on bytes is reached; at least one,
    /// if there is any.
    pub messages: Vec<ShownMessage>,
    /// True if there are more messages.
    pub has_more: bool,
}

/// The limits of a page.
#[derive(Debug, Clone, Copy)]
pub struct PageSize {
    /// The maximum number of messages or events.
    pub rows: u32,
    /// The maximum bytes of content.
    pub bytes: u64,
}

impl PageSize {
    /// Returns the number of rows to fetch. One row beyond the page shows whether there are more.
    const fn fetched(self) -> u32 {
        self.rows.saturating_add(1)
    }
}

/// One entry of the event log.
#[derive(Debug, Clone)]
pub struct EventRow {
    /// The number of the entry.
    pub seq: i64,
    /// The time in Unix milliseconds.
    pub time_ms: u64,
    /// The kind of event.
    pub kind: EventKind,
    /// The peer id of the contact concerned.
    pub peer_id: PeerId,
    /// The local name of the contact.
    pub name: String,
    /// The name that the contact suggested for itself.
    pub suggested_name: String,
    /// A number whose meaning depends on the kind.
    pub detail: i64,
    /// The id of the message, if the event is about one.
    pub message_id: Option<[u8; 16]>,
    /// The message, if the event includes it.
    pub message: Option<ShownMessage>,
}

/// An event that was given to the workers of a client too often.
#[derive(Debug, Clone)]
pub struct DeadLetterRow {
    /// The number of the event.
    pub seq: i64,
    /// How often it was given.
    pub deliveries: u32,
    /// Since when it is a dead letter, in Unix milliseconds.
    pub since_ms: u64,
    /// Why the last worker did not handle it; empty if its lease ended.
    pub reason: String,
    /// The event, if it is still stored.
    pub event: Option<EventRow>,
}

const MESSAGE: &str = "m.row, m.id, c.peer_id, m.own, m.state, m.failure, m.author_ms, \
                       m.stored_ms, m.media_type, m.content, m.edited, m.gone, m.expires_ms, \
                       m.reply_to, m.thread, \
                       (SELECT text FROM reactions WHERE message = m.row AND own = 1), \
                       (SELECT text FROM reactions WHERE message = m.row AND own = 0)";

/// The condition that hides a removed contact's history while it is being erased.
const NOT_ERASED: &str =
    "m.row > coalesce((SELECT history FROM erasures WHERE contact = m.contact), 0)";

impl Reader {
    pub(super) fn new(connection: Connection) -> Self {
        Self { connection }
    }

    /// Returns a message of kind content.
    pub fn message(&self, id: &[u8; 16]) -> Result<Option<ShownMessage>, StoreError> {
        self.prepare(&format!(
            "SELECT {MESSAGE} FROM messages m JOIN contacts c ON c.row = m.contact
                 WHERE m.id = ?1 AND m.kind = 0 AND {NOT_ERASED}"
        ))?
        .query_row([id], |row| Ok(parse_message(row, 0)))
        .optional()?
        .transpose()
    }

    /// Returns a conversation's messages in a span. Expired messages are omitted.
    pub fn history(
        &self,
        contact: ContactRowId,
        span: impl Into<Span>,
        size: PageSize,
    ) -> Result<HistoryPage, StoreError> {
        let span = span.into();
        let order = if span.is_forward { "ASC" } else { "DESC" };
        let mut statement = self.prepare(&format!(
            "SELECT {MESSAGE} FROM messages m JOIN contacts c ON c.row = m.contact
             WHERE m.contact = ?1 AND m.kind = 0 AND m.row > ?2 AND m.row < ?3 AND m.gone < 2
               AND {NOT_ERASED}
             ORDER BY m.row {order} LIMIT ?4"
        ))?;
        let mut rows = statement.query((contact, span.after, span.before, size.fetched()))?;
        collect(&mut rows, size)
    }

    /// Returns the row at which the messages begin that were stored at a time, in Unix milliseconds, or later. The
    /// rows are in the order of their times, so their times are compared at some 60 rows.
    pub fn first_row_since(&self, time_ms: u64) -> Result<MessageRowId, StoreError> {
        let mut at_or_after = self
            .prepare("SELECT row, stored_ms FROM messages WHERE row >= ?1 ORDER BY row LIMIT 1")?;
        let (mut low, mut high) = (1, i64::MAX);
        while low < high {
            let middle = low + (high - low) / 2;
            let found: Option<(i64, i64)> = at_or_after
                .query_row([middle], |row| Ok((row.get(0)?, row.get(1)?)))
                .optional()?;
            match found {
                Some((row, stored)) if unbits(stored) < time_ms => low = row.saturating_add(1),
                _ => high = middle,
            }
        }
        Ok(MessageRowId::new(low))
    }

    /// Returns the messages before a row whose text contains all the words, newest first: of one contact, or of all.
    pub fn search(
        &self,
        words: &str,
        contact: Option<ContactRowId>,
        before: MessageRowId,
        size: PageSize,
    ) -> Result<HistoryPage, StoreError> {
        let Some(query) = match_expression(words) else {
            return Ok(HistoryPage::default());
        };
        let mut statement = self.prepare(&format!(
            "SELECT {MESSAGE} FROM search s JOIN messages m ON m.row = s.rowid
               JOIN contacts c ON c.row = m.contact
             WHERE search MATCH ?1 AND s.rowid < ?2 AND m.gone = 0 AND {NOT_ERASED}
               AND (?3 IS NULL OR m.contact = ?3)
             ORDER BY s.rowid DESC LIMIT ?4"
        ))?;
        let mut rows = statement.query((query, before, contact, size.fetched()))?;
        collect(&mut rows, size)
    }

    /// Returns the entries after number `after`, up to the page size; at least one, if there is
    /// any.
    pub fn events(&self, after: i64, size: PageSize) -> Result<Vec<EventRow>, StoreError> {
        let mut statement = self.prepare(&format!(
            "SELECT e.seq, e.time_ms, e.kind, c.peer_id, c.name, c.suggested_name, e.detail,
                    {MESSAGE}
             FROM events e CROSS JOIN contacts c ON c.row = e.contact
               LEFT JOIN messages m ON m.row = e.message AND {NOT_ERASED}
             WHERE e.seq > ?1 ORDER BY e.seq LIMIT ?2"
        ))?;
        let mut rows = statement.query((after, size.rows))?;
        let mut events: Vec<EventRow> = Vec::new();
        let mut room = size.bytes;
        while room > 0
            && let Some(row) = rows.next()?
        {
            let event = parse_event(row)?;
            room = room.saturating_sub(event.message.as_ref().map_or(ROW_BYTES, weight));
            events.push(event);
        }
        Ok(events)
    }

    /// Returns the dead letters of a client after event number `after`, up to the page size; at least one, if there is
    /// any.
    pub fn dead_letters(
        &self,
        client: &str,
        after: i64,
        size: PageSize,
    ) -> Result<Vec<DeadLetterRow>, StoreError> {
        let mut statement = self.prepare(&format!(
            "SELECT e.seq, e.time_ms, e.kind, c.peer_id, c.name, c.suggested_name, e.detail,
                    {MESSAGE}, s.seq AS seq_of_letter, s.deliveries, s.at_ms, s.reason
             FROM shared_events s LEFT JOIN events e ON e.seq = s.seq
               LEFT JOIN contacts c ON c.row = e.contact
               LEFT JOIN messages m ON m.row = e.message AND {NOT_ERASED}
             WHERE s.client = ?1 AND s.state = 4 AND s.seq > ?2 ORDER BY s.seq LIMIT ?3"
        ))?;
        let mut rows = statement.query((client, after, size.rows))?;
        let mut letters = Vec::new();
        let mut room = size.bytes;
        while room > 0
            && let Some(row) = rows.next()?
        {
            let letter = parse_dead_letter(row)?;
            let message = letter.event.as_ref().and_then(|it| it.message.as_ref());
            room = room.saturating_sub(message.map_or(ROW_BYTES, weight));
            letters.push(letter);
        }
        Ok(letters)
    }

    /// Returns the number of the oldest stored entry, if any.
    pub fn oldest_event(&self) -> Result<Option<i64>, StoreError> {
        Ok(self
            .prepare("SELECT min(seq) FROM events")?
            .query_row([], |row| row.get(0))?)
    }

    /// Returns the usage of each contact, by contact row.
    pub fn usage(&self) -> Result<Vec<(ContactRowId, Usage)>, StoreError> {
        let mut statement = self.prepare(&format!("SELECT contact, {USAGE} FROM usage"))?;
        let rows = statement.query_map([], |row| Ok((row.get(0)?, parse_usage(row, 1)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Returns the usage of one contact.
    pub fn usage_of(&self, contact: ContactRowId) -> Result<Usage, StoreError> {
        let found = self
            .prepare(&format!("SELECT {USAGE} FROM usage WHERE contact = ?1"))?
            .query_row([contact], |row| parse_usage(row, 0))
            .optional()?;
        Ok(found.unwrap_or_default())
    }

    /// Returns the number of messages in the outbox, for all contacts.
    pub fn queued(&self) -> Result<u64, StoreError> {
        let sum = self
            .prepare("SELECT coalesce(sum(queued), 0) FROM usage")?
            .query_row([], |row| row.get(0))?;
        Ok(unbits(sum))
    }

    fn prepare(&self, sql: &str) -> Result<CachedStatement<'_>, StoreError> {
        #[cfg(test)]
        super::plans::note(sql);
        Ok(self.connection.prepare_cached(sql)?)
    }
}

fn parse_dead_letter(row: &Row<'_>) -> Result<DeadLetterRow, StoreError> {
    let is_stored = row.get::<_, Option<i64>>(0)?.is_some();
    Ok(DeadLetterRow {
        event: is_stored.then(|| parse_event(row)).transpose()?,
        seq: row.get("seq_of_letter")?,
        deliveries: row.get("deliveries")?,
        since_ms: unbits(row.get("at_ms")?),
        reason: row.get("reason")?,
    })
}

/// The size of a row in bytes, not counting its content.
const ROW_BYTES: u64 = 256;

/// Returns the bytes that a message counts for in a page.
fn weight(message: &ShownMessage) -> u64 {
    let content = message.content.as_ref().map_or(0, Vec::len);
    ROW_BYTES.saturating_add(content as u64)
}

fn collect(rows: &mut rusqlite::Rows<'_>, size: PageSize) -> Result<HistoryPage, StoreError> {
    let mut page = HistoryPage::default();
    let mut room = size.bytes;
    while let Some(row) = rows.next()? {
        if room == 0 || page.messages.len() >= size.rows as usize {
            page.has_more = true;
            break;
        }
        let message = parse_message(row, 0)?;
        room = room.saturating_sub(weight(&message));
        page.messages.push(message);
    }
    Ok(page)
}

fn parse_event(row: &Row<'_>) -> Result<EventRow, StoreError> {
    const MESSAGE_AT: usize = 7;
    let has_message = row.get::<_, Option<i64>>(MESSAGE_AT)?.is_some();
    let kind = EventKind::from_column(row.get(2)?)?;
    Ok(EventRow {
        seq: row.get(0)?,
        time_ms: unbits(row.get(1)?),
        kind,
        peer_id: PeerId::from_bytes(row.get(3)?),
        name: row.get(4)?,
        suggested_name: row.get(5)?,
        detail: row.get(6)?,
        message_id: row.get(MESSAGE_AT + 1)?,
        message: (has_message && kind.shows_message())
            .then(|| parse_message(row, MESSAGE_AT))
            .transpose()?,
    })
}

fn parse_message(row: &Row<'_>, at: usize) -> Result<ShownMessage, StoreError> {
    Ok(ShownMessage {
        row: row.get(at)?,
        id: row.get(at + 1)?,
        peer_id: PeerId::from_bytes(row.get(at + 2)?),
        own: row.get(at + 3)?,
        state: MessageState::from_column(row.get(at + 4)?)?,
        failure: row.get(at + 5)?,
        author_ms: unbits(row.get(at + 6)?),
        stored_ms: unbits(row.get(at + 7)?),
        media_type: row.get(at + 8)?,
        content: row.get(at + 9)?,
        edited: row.get(at + 10)?,
        gone: match row.get(at + 11)? {
            0 => Gone::No,
            1 => Gone::Retracted,
            2 => Gone::Expired,
            3 => Gone::Erased,
            _ => return Err(StoreError::Corrupt("message")),
        },
        expires_ms: row.get::<_, Option<i64>>(at + 12)?.map(unbits),
        reply_to: row.get(at + 13)?,
        thread: row.get(at + 14)?,
        reactions: [reaction(row, at + 15)?, reaction(row, at + 16)?],
    })
}

fn reaction(row: &Row<'_>, at: usize) -> Result<String, StoreError> {
    let text: Option<String> = row.get(at)?;
    Ok(text.unwrap_or_default())
}

#[cfg(test)]
mod tests;
