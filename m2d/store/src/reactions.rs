//! The reactions of both sides to messages.

use super::{Store, StoreError};
use crate::MessageRowId;

impl Store {
    /// Sets the reaction of one side to a message; an empty text removes it. Returns whether anything
    /// changed.
    pub fn set_reaction(
        &self,
        message: MessageRowId,
        own: bool,
        text: &str,
    ) -> Result<bool, StoreError> {
        let changed = match text.is_empty() {
            true => self
                .connection
                .prepare_cached("DELETE FROM reactions WHERE message = ?1 AND own = ?2")?
                .execute((message, own))?,
            false => self
                .connection
                .prepare_cached(
                    "INSERT INTO reactions(message, own, text) VALUES (?1, ?2, ?3)
                     ON CONFLICT DO UPDATE SET text = ?3 WHERE text <> ?3",
                )?
                .execute((message, own, text))?,
        };
        Ok(changed > 0)
    }
}
