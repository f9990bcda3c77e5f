//! The full-text index. It is updated in steps after the messages are stored, so that no message
//! waits for it.
//!
//! The index holds no text, only words and their positions. A text is removed from the index by its
//! words, which are computed again from the message's row, so this must happen before the row's
//! content changes. With FTS5's `secure-delete` the words are overwritten in the index's pages
//! immediately, not when segments are merged.

mod words;

pub(super) use words::match_expression;

use super::{Store, StoreError};
use crate::MessageRowId;
use rusqlite::OptionalExtension;

/// The setting that holds the last indexed row.
const SEARCHED: &str = "searched";

impl Store {
    /// Indexes up to `limit` messages. Returns whether more remain.
    pub fn index_some(&self, limit: u32) -> Result<bool, StoreError> {
        let from = self.searched()?;
        let mut statement = self.connection.prepare_cached(
            "SELECT row, content FROM messages WHERE row > ?1 AND kind = 0 AND gone = 0
               AND media_type = '' ORDER BY row LIMIT ?2",
        )?;
        let mut rows = statement.query((from, limit))?;
        let mut last = from;
        let mut count = 0;
        while let Some(row) = rows.next()? {
            last = row.get(0)?;
            count += 1;
            let content: Option<Vec<u8>> = row.get(1)?;
            let Some(Ok(text)) = content.map(String::from_utf8) else {
                continue;
            };
            self.index_text(last, &text)?;
        }
        let more = count == limit;
        if !more {
            // Rows after the last text hold no text: skip them.
            last = self.newest_row()?;
        }
        if last > from {
            self.set_number(SEARCHED, last.number())?;
        }
        if !more {
            // The burst has ended.
            self.shrink()?;
        }
        Ok(more)
    }

    /// Returns whether messages wait to be indexed.
    pub fn index_is_behind(&self) -> Result<bool, StoreError> {
        let from = self.searched()?;
        Ok(self.newest_row()? > from)
    }

    fn newest_row(&self) -> Result<MessageRowId, StoreError> {
        Ok(self
            .connection
            .prepare_cached("SELECT coalesce(max(row), 0) FROM messages")?
            .query_row([], |row| row.get(0))?)
    }

    /// Removes a message's text from the index, if it is indexed. Must be called before the row is
    /// deleted or its content or media type changes.
    pub(super) fn unindex(&self, row: MessageRowId) -> Result<(), StoreError> {
        if !self.is_indexed(row)? {
            return Ok(());
        }
        let content: Option<Option<Vec<u8>>> = self
            .connection
            .prepare_cached(
                "SELECT content FROM messages
                 WHERE row = ?1 AND kind = 0 AND gone = 0 AND media_type = ''",
            )?
            .query_row([row], |row| row.get(0))
            .optional()?;
        let text = content.flatten().map(String::from_utf8);
        let Some(Ok(text)) = text else {
            return Ok(());
        };
        let words = words::of_text(&text);
        if !words.is_empty() {
            self.connection
                .prepare_cached(
                    "INSERT INTO search(search, rowid, text) VALUES ('delete', ?1, ?2)",
                )?
                .execute((row, words))?;
        }
        Ok(())
    }

    /// Indexes the new text of a message that [`Self::unindex`] removed.
    pub(super) fn reindex(&self, row: MessageRowId, text: &str) -> Result<(), StoreError> {
        if self.is_indexed(row)? {
            self.index_text(row, text)?;
        }
        Ok(())
    }

    /// Returns whether the index includes a row.
    fn is_indexed(&self, row: MessageRowId) -> Result<bool, StoreError> {
        Ok(row <= self.searched()?)
    }

    /// Returns the last row that was indexed.
    fn searched(&self) -> Result<MessageRowId, StoreError> {
        let searched = self.number(SEARCHED)?.unwrap_or(0);
        Ok(MessageRowId::new(searched))
    }

    fn index_text(&self, row: MessageRowId, text: &str) -> Result<(), StoreError> {
        let words = words::of_text(text);
        if !words.is_empty() {
            self.connection
                .prepare_cached("INSERT INTO search(rowid, text) VALUES (?1, ?2)")?
                .execute((row, words))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
