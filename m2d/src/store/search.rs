//! The full-text index. It follows the messages in steps, so that no message waits for it.

use super::{Store, StoreError};

/// The setting that says up to which row the index has come.
const SEARCHED: &str = "searched";

impl Store {
    /// Indexes up to `limit` messages that are not yet. Says whether more remain.
    pub fn index_some(&self, limit: u32) -> Result<bool, StoreError> {
        let from = self.number(SEARCHED)?.unwrap_or(0);
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
            // What follows the last text holds no text: step over it.
            last = self.newest_row()?;
        }
        if last > from {
            self.set_number(SEARCHED, last)?;
        }
        if !more {
            // The last burst is over.
            self.shrink()?;
        }
        Ok(more)
    }

    /// Whether messages wait to be indexed.
    pub fn index_is_behind(&self) -> Result<bool, StoreError> {
        let from = self.number(SEARCHED)?.unwrap_or(0);
        Ok(self.newest_row()? > from)
    }

    fn newest_row(&self) -> Result<i64, StoreError> {
        Ok(self
            .connection
            .prepare_cached("SELECT coalesce(max(row), 0) FROM messages")?
            .query_row([], |row| row.get(0))?)
    }

    /// Replaces or removes the indexed text of a message, if it is indexed already.
    pub(super) fn reindex(&self, row: i64, text: Option<&str>) -> Result<(), StoreError> {
        if row > self.number(SEARCHED)?.unwrap_or(0) {
            return Ok(());
        }
        self.connection
            .prepare_cached("DELETE FROM search WHERE rowid = ?1")?
            .execute([row])?;
        text.map_or(Ok(()), |text| self.index_text(row, text))
    }

    fn index_text(&self, row: i64, text: &str) -> Result<(), StoreError> {
        self.connection
            .prepare_cached("INSERT INTO search(rowid, text) VALUES (?1, ?2)")?
            .execute((row, text))?;
        Ok(())
    }
}
