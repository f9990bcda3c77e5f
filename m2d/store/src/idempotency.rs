//! Idempotency keys: scoped to a caller, stored in the transaction that fills the outbox, kept for
//! 30 days.

use super::{Store, StoreError, int};
use crate::MessageRowId;
use rusqlite::OptionalExtension;

/// How long a key is kept, in milliseconds.
const KEPT_MS: u64 = 30 * 86_400_000;

/// The request that an idempotency key stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remembered {
    /// The hash of the request's body.
    pub body: [u8; 32],
    /// The row of the message that the request created.
    pub message: MessageRowId,
}

impl Store {
    /// Returns the request for which `caller` used `key` within the last 30 days.
    pub fn remembered(
        &self,
        caller: &str,
        key: &str,
        now_ms: u64,
    ) -> Result<Option<Remembered>, StoreError> {
        Ok(self
            .connection
            .prepare_cached(
                "SELECT body, message FROM idempotency
                 WHERE caller = ?1 AND key = ?2 AND created_ms > ?3",
            )?
            .query_row((caller, key, int(now_ms.saturating_sub(KEPT_MS))), |row| {
                Ok(Remembered {
                    body: row.get(0)?,
                    message: row.get(1)?,
                })
            })
            .optional()?)
    }

    /// Stores the request for which `caller` used `key`.
    pub fn remember(
        &self,
        caller: &str,
        key: &str,
        what: &Remembered,
        now_ms: u64,
    ) -> Result<(), StoreError> {
        self.connection
            .prepare_cached("INSERT OR REPLACE INTO idempotency VALUES (?1, ?2, ?3, ?4, ?5)")?
            .execute((caller, key, what.body, what.message, int(now_ms)))?;
        Ok(())
    }

    /// Deletes up to `limit` keys older than 30 days. Returns whether more of them remain.
    pub fn prune_idempotency(&self, now_ms: u64, limit: u32) -> Result<bool, StoreError> {
        let deleted = self
            .connection
            .prepare_cached(
                "DELETE FROM idempotency WHERE (caller, key) IN
                   (SELECT caller, key FROM idempotency WHERE created_ms <= ?1 LIMIT ?2)",
            )?
            .execute((int(now_ms.saturating_sub(KEPT_MS)), limit))?;
        Ok(deleted >= limit as usize)
    }
}
