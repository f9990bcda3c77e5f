//! Reading beside the writer: history, search and the event log, as front-ends see them.

use super::{EventKind, Gone, MessageState, StoreError, unbits};
use m2_crypto::PeerId;
use rusqlite::{Connection, OptionalExtension, Row};

/// A connection that only reads.
#[derive(Debug)]
pub struct Reader {
    pub(super) connection: Connection,
}

/// One message with its peer, as shown.
#[derive(Debug, Clone)]
pub struct ShownMessage {
    /// The row's number, its place in the conversation.
    pub row: i64,
    /// The message id.
    pub id: [u8; 16],
    /// The other side.
    pub peer_id: PeerId,
    /// We wrote it.
    pub own: bool,
    /// How far it has come.
    pub state: MessageState,
    /// Why it failed: a number of [`crate::engine::Failure`], or 0.
    pub failure: i64,
    /// The author's clock.
    pub author_ms: u64,
    /// When it was stored here.
    pub stored_ms: u64,
    /// Empty for UTF-8 text.
    pub media_type: String,
    /// The content, while it is there.
    pub content: Option<Vec<u8>>,
    /// Its author replaced the content.
    pub edited: bool,
    /// Whether and why the content is gone.
    pub gone: Gone,
    /// When its time to live ends.
    pub expires_ms: Option<u64>,
}

/// Messages, newest first.
pub type HistoryPage = Vec<ShownMessage>;

/// One entry of the event log.
#[derive(Debug, Clone)]
pub struct EventRow {
    /// Its number.
    pub seq: i64,
    /// When.
    pub time_ms: u64,
    /// What.
    pub kind: EventKind,
    /// With whom.
    pub peer_id: PeerId,
    /// What the contact is called.
    pub name: String,
    /// What it calls itself.
    pub suggested_name: String,
    /// A number, as the kind says.
    pub detail: i64,
    /// The message's id, when the event is about one.
    pub message_id: Option<[u8; 16]>,
    /// The message, when the event shows it.
    pub message: Option<ShownMessage>,
}

const MESSAGE: &str = "m.row, m.id, c.peer_id, m.own, m.state, m.failure, m.author_ms, \
                       m.stored_ms, m.media_type, m.content, m.edited, m.gone, m.expires_ms";

impl Reader {
    pub(super) fn new(connection: Connection) -> Self {
        Self { connection }
    }

    /// One message that is content.
    pub fn message(&self, id: &[u8; 16]) -> Result<Option<ShownMessage>, StoreError> {
        self.connection
            .prepare_cached(&format!(
                "SELECT {MESSAGE} FROM messages m JOIN contacts c ON c.row = m.contact
                 WHERE m.id = ?1 AND m.kind = 0"
            ))?
            .query_row([id], |row| Ok(parse_message(row, 0)))
            .optional()?
            .transpose()
    }

    /// A conversation's messages before a row, newest first. Expired ones are left out.
    pub fn history(
        &self,
        contact: i64,
        before: i64,
        limit: u32,
    ) -> Result<HistoryPage, StoreError> {
        let mut statement = self.connection.prepare_cached(&format!(
            "SELECT {MESSAGE} FROM messages m JOIN contacts c ON c.row = m.contact
             WHERE m.contact = ?1 AND m.kind = 0 AND m.row < ?2 AND m.gone != 2
             ORDER BY m.row DESC LIMIT ?3"
        ))?;
        let mut rows = statement.query((contact, before, limit))?;
        collect(&mut rows)
    }

    /// Messages whose text holds all the words, newest first.
    pub fn search(&self, words: &str, limit: u32) -> Result<HistoryPage, StoreError> {
        let Some(query) = match_expression(words) else {
            return Ok(Vec::new());
        };
        let mut statement = self.connection.prepare_cached(&format!(
            "SELECT {MESSAGE} FROM search s JOIN messages m ON m.row = s.rowid
               JOIN contacts c ON c.row = m.contact
             WHERE search MATCH ?1 AND m.gone = 0 ORDER BY s.rowid DESC LIMIT ?2"
        ))?;
        let mut rows = statement.query((query, limit))?;
        collect(&mut rows)
    }

    /// Up to `limit` entries after number `after`.
    pub fn events(&self, after: i64, limit: u32) -> Result<Vec<EventRow>, StoreError> {
        let mut statement = self.connection.prepare_cached(&format!(
            "SELECT e.seq, e.time_ms, e.kind, c.peer_id, c.name, c.suggested_name, e.detail,
                    {MESSAGE}
             FROM events e JOIN contacts c ON c.row = e.contact
               LEFT JOIN messages m ON m.row = e.message
             WHERE e.seq > ?1 ORDER BY e.seq LIMIT ?2"
        ))?;
        let mut rows = statement.query((after, limit))?;
        let mut events = Vec::new();
        while let Some(row) = rows.next()? {
            events.push(parse_event(row)?);
        }
        Ok(events)
    }

    /// The number of the oldest entry kept, if any.
    pub fn oldest_event(&self) -> Result<Option<i64>, StoreError> {
        Ok(self
            .connection
            .query_row("SELECT min(seq) FROM events", [], |row| row.get(0))?)
    }

    /// How many messages wait in the outbox, by contact row.
    pub fn queued(&self) -> Result<Vec<(i64, u64)>, StoreError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT o.contact, count(*) FROM outbox o JOIN messages m ON m.row = o.message
             WHERE m.kind = 0 GROUP BY o.contact",
        )?;
        let rows = statement.query_map([], |row| Ok((row.get(0)?, unbits(row.get(1)?))))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

fn collect(rows: &mut rusqlite::Rows<'_>) -> Result<HistoryPage, StoreError> {
    let mut messages = Vec::new();
    while let Some(row) = rows.next()? {
        messages.push(parse_message(row, 0)?);
    }
    Ok(messages)
}

/// An FTS5 expression that asks for all the words, each quoted so that nothing in it is syntax.
/// None when there is no word.
fn match_expression(words: &str) -> Option<String> {
    // Control characters separate too: SQLite would take NUL for the end of the expression.
    let quoted: Vec<String> = words
        .split(|c: char| c.is_whitespace() || c.is_control())
        .filter(|word| !word.is_empty())
        .map(|word| format!("\"{}\"", word.replace('"', "\"\"")))
        .collect();
    (!quoted.is_empty()).then(|| quoted.join(" "))
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
            _ => return Err(StoreError::Corrupt("message")),
        },
        expires_ms: row.get::<_, Option<i64>>(at + 12)?.map(unbits),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn search_words_are_never_syntax() {
        assert_eq!(match_expression("  \0"), None);
        assert_eq!(match_expression("a\0b"), Some("\"a\" \"b\"".to_owned()));
        assert_eq!(
            match_expression("a OR \"b* NEAR("),
            Some("\"a\" \"OR\" \"\"\"b*\" \"NEAR(\"".to_owned())
        );
    }
}
