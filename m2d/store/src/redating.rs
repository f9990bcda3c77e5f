//! Corrections of stored times that are ahead of the clock, because they were written while it was
//! wrong (docs/operator/clocks.md).

use super::{Store, StoreError, int};

/// The maximum by which stored times may be ahead of the clock, in milliseconds.
pub const AHEAD_MS: u64 = 300_000;
/// The maximum time that a deposit may wait, in milliseconds.
const LONGEST_WAIT_MS: u64 = 3_600_000;

/// Statements that set times in the future to the current time: `?1` is now, `?2` the latest
/// plausible time. Times that were shown to the user (when messages were written and events
/// happened) are kept. A time to live starts again, once; the validity of an invitation is at most
/// restarted.
const REDATE: [&str; 13] = [
    "UPDATE outbox SET expires_ms = ?1 + (expires_ms - queued_ms), queued_ms = ?1
     WHERE queued_ms > ?2",
    "UPDATE messages SET expires_ms = ?1 + (expires_ms - stored_ms), stored_ms = ?1
     WHERE expires_ms IS NOT NULL AND stored_ms > ?2",
    "UPDATE held SET received_ms = ?1 WHERE received_ms > ?2",
    // A deposit time more than a day ahead says nothing about when the letter expires, so another one
    // is needed.
    "UPDATE deposits SET deposited_ms = iif(deposited_ms > ?1 + 86400000, 0, ?1)
     WHERE deposited_ms > ?2",
    // The day of creation is part of the keys under which it is found, so it is kept.
    "UPDATE invitations SET expires_ms = ?1 + (expires_ms - created_ms)
     WHERE created_ms > ?2 AND expires_ms >= created_ms",
    "UPDATE addresses SET seen_ms = ?1 WHERE seen_ms > ?2",
    "UPDATE contacts SET last_seen_ms = ?1 WHERE last_seen_ms > ?2",
    "UPDATE contacts SET removed_ms = ?1 WHERE removed_ms > ?2",
    "UPDATE clients SET seen_ms = ?1 WHERE seen_ms > ?2",
    "UPDATE idempotency SET created_ms = ?1 WHERE created_ms > ?2",
    "UPDATE lines SET created_ms = ?1 WHERE created_ms > ?2",
    "UPDATE contact_requests SET asked_ms = ?1 WHERE asked_ms > ?2",
    "UPDATE address_budgets SET at_ms = ?1 WHERE at_ms > ?2",
];

impl Store {
    /// Shortens waiting times of letters to the maximum after `now_ms`, and makes letters that were
    /// sealed in the future as old as possible: they are sealed again.
    pub fn restart_letters(&self, now_ms: u64) -> Result<(), StoreError> {
        self.connection
            .prepare_cached(
                "UPDATE letters_out SET sealed_ms = 0, due_ms = 0 WHERE sealed_ms > ?1",
            )?
            .execute([int(now_ms.saturating_add(AHEAD_MS))])?;
        self.connection
            .prepare_cached("UPDATE letters_out SET due_ms = ?1 WHERE due_ms > ?2")?
            .execute((int(now_ms), int(now_ms.saturating_add(LONGEST_WAIT_MS))))?;
        Ok(())
    }

    /// Corrects stored times that are ahead of a clock that is known to be right. Returns whether
    /// there were any.
    pub fn redate(&self, now_ms: u64) -> Result<bool, StoreError> {
        let (now, latest) = (int(now_ms), int(now_ms.saturating_add(AHEAD_MS)));
        let mut changed = 0;
        for statement in REDATE {
            changed += self.connection.execute(statement, (now, latest))?;
        }
        Ok(changed > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::scratch;

    const NOW: u64 = 1_800_000_000_000;
    const DAY: u64 = 86_400_000;

    fn number(store: &Store, what: &str) -> i64 {
        let read = |row: &rusqlite::Row<'_>| row.get(0);
        store
            .connection
            .query_row(&format!("SELECT {what}"), [], read)
            .unwrap()
    }

    /// Returns a store with one row of each kind, written at `at` with a lifetime of an hour.
    fn written_at(at: u64) -> (tempfile::TempDir, Store) {
        let (dir, store) = scratch();
        let rows = format!(
            "INSERT INTO contacts(row, peer_id, name, state, created_ms, last_seen_ms, removed_ms)
               VALUES (1, zeroblob(32), 'bob', 3, {at}, {at}, {at});
             INSERT INTO addresses VALUES (1, '192.0.2.1:1', {at}, 0);
             INSERT INTO messages(row, id, contact, kind, own, incarnation, state, author_ms,
               stored_ms, hash, media_type, gone, expires_ms)
               VALUES (1, x'01', 1, 0, 1, 0, 1, {at}, {at}, x'00', '', 0, {at} + 3600000);
             INSERT INTO outbox(message, contact, id, sequence, state, queued_ms, expires_ms, hash)
               VALUES (1, 1, x'01', 1, 1, {at}, {at} + 3600000, x'00');
             INSERT INTO invitations VALUES (x'01', zeroblob(16), zeroblob(32), 0, {at},
               {at} + 3600000, 0, '');
             INSERT INTO idempotency VALUES ('', 'key', x'00', 1, {at});"
        );
        store.connection.execute_batch(&rows).unwrap();
        (dir, store)
    }

    #[test]
    fn rows_written_in_the_future_are_redated_to_now_once() {
        let (_dir, store) = written_at(NOW + 400 * DAY);
        assert!(store.redate(NOW).unwrap());
        let end = i64::try_from(NOW + 3_600_000).unwrap();
        for table in ["messages", "outbox", "invitations"] {
            assert_eq!(number(&store, &format!("expires_ms FROM {table}")), end);
        }
        let now = i64::try_from(NOW).unwrap();
        for time in [
            "queued_ms FROM outbox",
            "seen_ms FROM addresses",
            "last_seen_ms FROM contacts",
            "removed_ms FROM contacts",
            "created_ms FROM idempotency",
        ] {
            assert_eq!(number(&store, time), now, "{time}");
        }
        // The author's time is part of the history.
        assert!(number(&store, "author_ms FROM messages") > end);
        store.redate(NOW + DAY).unwrap();
        for table in ["messages", "outbox", "invitations"] {
            assert_eq!(number(&store, &format!("expires_ms FROM {table}")), end);
        }
    }

    #[test]
    fn rows_written_before_now_are_unchanged() {
        for at in [NOW - 400 * DAY, NOW, NOW + AHEAD_MS] {
            let (_dir, store) = written_at(at);
            assert!(!store.redate(NOW).unwrap());
        }
    }

    #[test]
    fn a_letter_sealed_in_the_future_is_sealed_again_and_others_become_due() {
        let (_dir, store) = written_at(NOW);
        let letter = |message: i64, sealed: u64, due: u64| {
            let insert = "INSERT INTO letters_out(message, contact, sealed, sealed_ms, due_ms)
                 VALUES (?1, 1, x'00', ?2, ?3)";
            let row = (message, int(sealed), int(due));
            store.connection.execute(insert, row).unwrap();
        };
        store
            .connection
            .execute_batch("PRAGMA foreign_keys = OFF")
            .unwrap();
        letter(1, NOW + DAY, NOW + DAY);
        letter(2, NOW, NOW + DAY);
        letter(3, NOW, NOW + 60_000);
        store.restart_letters(NOW).unwrap();
        let sealed = "sealed_ms FROM letters_out WHERE message = 1";
        assert_eq!(number(&store, sealed), 0);
        let now = i64::try_from(NOW).unwrap();
        let due = |message| {
            number(
                &store,
                &format!("due_ms FROM letters_out WHERE message = {message}"),
            )
        };
        assert_eq!((due(1), due(2), due(3)), (0, now, now + 60_000));
    }
}
