//! Pruning of contacts' rows, so that no peer can make the store grow without bound.

use super::super::{MessageKind, Store, StoreError, int};
use crate::ContactRowId;

/// The maximum number of tombstones of one contact: retractions that wait for their message.
const MAX_TOMBSTONES: u32 = 1_024;
/// The maximum number of rows of each kind that are kept of one contact's messages that are not
/// shown.
const MAX_SILENT: u32 = 10_000;
const SILENT_KINDS: [MessageKind; 7] = [
    MessageKind::Content,
    MessageKind::Edit,
    MessageKind::Retract,
    MessageKind::Read,
    MessageKind::Skip,
    MessageKind::Reaction,
    MessageKind::Unknown,
];

/// The progress of deleting a removed contact's rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pruned {
    /// All rows are deleted.
    Gone,
    /// More rows remain: call again.
    More,
    /// The contact's row must stay for now: the newest message in the store belongs to it, and no
    /// row number may be reused.
    NotYet,
}

impl Pruned {
    /// Returns whether all rows are deleted.
    pub const fn is_gone(self) -> bool {
        matches!(self, Self::Gone)
    }

    /// Returns whether another call is needed.
    pub const fn has_more(self) -> bool {
        matches!(self, Self::More)
    }
}

impl Store {
    /// Returns contacts that were removed before a time and have no messages left to show.
    pub fn removed_before(&self, before_ms: u64) -> Result<Vec<ContactRowId>, StoreError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT row FROM contacts WHERE state = 6 AND removed_ms < ?1 AND NOT EXISTS
               (SELECT 1 FROM messages m
                WHERE m.contact = contacts.row AND m.kind = 0 AND m.gone < 2 AND m.gone = 0)",
        )?;
        let rows = statement.query_map([int(before_ms)], |row| row.get(0))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Deletes a removed contact and the rows that refer to it, at most `limit` messages of each
    /// kind per call. Its events and idempotency keys must already be deleted.
    pub fn prune_contact(&self, contact: ContactRowId, limit: u32) -> Result<Pruned, StoreError> {
        for sql in OF_CONTACT {
            self.connection.prepare_cached(sql)?.execute([contact])?;
        }
        let mut deleted = 0;
        for sql in MESSAGES_OF_CONTACT {
            let mut statement = self.connection.prepare_cached(sql)?;
            deleted += statement.execute((contact, limit))?;
        }
        if deleted > 0 {
            return Ok(Pruned::More);
        }
        // Only the newest message in the store can be left.
        let gone = self
            .connection
            .prepare_cached(
                "DELETE FROM contacts WHERE row = ?1 AND row IS NOT
                   (SELECT contact FROM messages ORDER BY row DESC LIMIT 1)",
            )?
            .execute([contact])?;
        Ok(if gone > 0 {
            Pruned::Gone
        } else {
            Pruned::NotYet
        })
    }

    /// Stores a retraction whose message has not arrived yet.
    pub fn put_tombstone(&self, id: &[u8; 16], contact: ContactRowId) -> Result<(), StoreError> {
        self.connection
            .prepare_cached("INSERT OR IGNORE INTO tombstones(contact, id) VALUES (?1, ?2)")?
            .execute((contact, id))?;
        Ok(())
    }

    /// Deletes a contact's rows that are not shown, except the newest of each kind: edits, read
    /// receipts, retractions, skipped places, messages that expired or were pruned, and retractions
    /// that wait for their message. Deletes at most `limit` rows of each kind per call.
    pub fn bound_silent(&self, contact: ContactRowId, limit: u32) -> Result<(), StoreError> {
        for kind in SILENT_KINDS {
            self.connection
                .prepare_cached(
                    "DELETE FROM messages WHERE row IN
                       (SELECT row FROM messages
                        WHERE contact = ?1 AND own = 0 AND kind = ?2 AND (kind <> 0 OR gone > 1)
                        ORDER BY row DESC LIMIT ?4 OFFSET ?3)",
                )?
                .execute((contact, kind as i64, MAX_SILENT, limit))?;
        }
        self.connection
            .prepare_cached(
                "DELETE FROM tombstones WHERE contact = ?1 AND number NOT IN
                   (SELECT number FROM tombstones WHERE contact = ?1
                    ORDER BY number DESC LIMIT ?2)",
            )?
            .execute((contact, MAX_TOMBSTONES))?;
        Ok(())
    }
}

/// The tables are listed without `addresses`, whose rows are deleted with the contact.
const OF_CONTACT: [&str; 19] = [
    "DELETE FROM erasures WHERE contact = ?1",
    "DELETE FROM contact_lines WHERE contact = ?1",
    "DELETE FROM letters_out WHERE contact = ?1",
    "DELETE FROM deposits WHERE contact = ?1",
    "DELETE FROM letters_taken WHERE contact = ?1",
    "DELETE FROM tokens_of_day WHERE contact = ?1",
    "DELETE FROM letter_secrets WHERE contact = ?1",
    "DELETE FROM issued_tokens WHERE contact = ?1",
    "DELETE FROM held_tokens WHERE contact = ?1",
    "DELETE FROM mailbox_grants WHERE contact = ?1",
    "DELETE FROM places WHERE contact = ?1",
    "DELETE FROM peer_grants WHERE contact = ?1",
    "DELETE FROM mailbox_offers WHERE contact = ?1",
    "DELETE FROM mailbox_policies WHERE contact = ?1",
    "DELETE FROM outbox WHERE contact = ?1",
    "DELETE FROM sequences WHERE contact = ?1",
    "DELETE FROM incarnations WHERE contact = ?1",
    "DELETE FROM held WHERE contact = ?1",
    "DELETE FROM tombstones WHERE contact = ?1",
];

/// One statement for messages that are shown and one for the others, so that each can use its
/// index.
const MESSAGES_OF_CONTACT: [&str; 2] = [
    "DELETE FROM messages WHERE row IN
       (SELECT row FROM messages WHERE contact = ?1 AND kind = 0 AND gone < 2
          AND row < (SELECT max(row) FROM messages) LIMIT ?2)",
    "DELETE FROM messages WHERE row IN
       (SELECT row FROM messages WHERE contact = ?1 AND (kind <> 0 OR gone > 1)
          AND row < (SELECT max(row) FROM messages) LIMIT ?2)",
];

#[cfg(test)]
mod tests {
    use super::super::super::tests::scratch;
    use super::super::super::{Gone, MessageRow, MessageState};
    use super::super::ContactRow;
    use super::*;
    use crate::MessageRowId;
    use m2_core::ContactState;
    use m2_crypto::PeerId;

    fn contact(store: &Store, number: u8, state: ContactState) -> ContactRowId {
        let mut contact = ContactRow::new(PeerId::from_bytes([number; 32]), state, 1);
        contact.removed_ms = 100;
        store.insert_contact(&contact).unwrap()
    }

    fn message(store: &Store, contact: ContactRowId, number: u128, kind: MessageKind, gone: Gone) {
        let message = MessageRow {
            row: MessageRowId::default(),
            id: number.to_be_bytes(),
            contact,
            kind,
            own: false,
            incarnation: 1,
            state: MessageState::Delivered,
            author_ms: 1,
            stored_ms: 1,
            hash: [0; 32],
            media_type: String::new(),
            content: None,
            gone,
            expires_ms: None,
            reply_to: None,
            thread: None,
        };
        store.insert_message(&message).unwrap();
    }

    fn count(store: &Store, sql: &str) -> u32 {
        store
            .connection
            .query_row(sql, [], |row| row.get(0))
            .unwrap()
    }

    #[test]
    fn only_removed_contacts_without_history_are_pruned() {
        let (_dir, store) = scratch();
        let empty = contact(&store, 1, ContactState::Removed);
        let shown = contact(&store, 2, ContactState::Removed);
        message(&store, shown, 1, MessageKind::Content, Gone::No);
        let erased = contact(&store, 3, ContactState::Removed);
        message(&store, erased, 2, MessageKind::Content, Gone::Retracted);
        for (number, state) in [(4, ContactState::Blocked), (5, ContactState::Contact)] {
            contact(&store, number, state);
        }
        assert!(store.removed_before(100).unwrap().is_empty());
        assert_eq!(store.removed_before(101).unwrap(), [empty, erased]);
    }

    #[test]
    fn a_contact_is_pruned_in_steps_except_for_the_newest_message() {
        let (_dir, store) = scratch();
        let gone = contact(&store, 1, ContactState::Removed);
        for number in 0..30 {
            let kind = [MessageKind::Content, MessageKind::Skip, MessageKind::Read];
            let kind = kind.into_iter().cycle().nth(number as usize).unwrap();
            message(&store, gone, number, kind, Gone::Expired);
        }
        store.put_tombstone(&[7; 16], gone).unwrap();
        store.put_next_sequence(gone, 9).unwrap();
        let mut steps = 0;
        while store.prune_contact(gone, 5).unwrap() == Pruned::More {
            steps += 1;
        }
        assert_eq!(steps, 6);
        assert_eq!(store.prune_contact(gone, 5).unwrap(), Pruned::NotYet);
        let other = contact(&store, 2, ContactState::Contact);
        message(&store, other, 99, MessageKind::Content, Gone::No);
        assert_eq!(store.prune_contact(gone, 5).unwrap(), Pruned::More);
        assert_eq!(store.prune_contact(gone, 5).unwrap(), Pruned::Gone);
        let left = "SELECT (SELECT count(*) FROM contacts) + (SELECT count(*) FROM messages)
                         + (SELECT count(*) FROM tombstones) + (SELECT count(*) FROM sequences)";
        assert_eq!(count(&store, left), 2);
    }

    #[test]
    fn the_newest_rows_that_are_not_shown_are_kept() {
        let (_dir, store) = scratch();
        let row = contact(&store, 1, ContactState::Contact);
        let other = contact(&store, 2, ContactState::Contact);
        message(&store, other, 0, MessageKind::Read, Gone::No);
        message(&store, row, 1, MessageKind::Content, Gone::No);
        store.begin().unwrap();
        for number in 0..u128::from(MAX_SILENT) + 10 {
            message(&store, row, 1_000_000 + number, MessageKind::Read, Gone::No);
            message(
                &store,
                row,
                2_000_000 + number,
                MessageKind::Retract,
                Gone::No,
            );
        }
        for number in 0..u128::from(MAX_TOMBSTONES) + 3 {
            store.put_tombstone(&number.to_be_bytes(), row).unwrap();
            store.put_tombstone(&number.to_be_bytes(), row).unwrap();
        }
        store.bound_silent(row, u32::MAX).unwrap();
        store.commit().unwrap();
        let messages = count(&store, "SELECT count(*) FROM messages");
        assert_eq!(messages, 2 * MAX_SILENT + 2);
        let tombstones = count(&store, "SELECT count(*) FROM tombstones");
        assert_eq!(tombstones, MAX_TOMBSTONES);
        assert!(
            store
                .message_head(&1_000_009_u128.to_be_bytes())
                .unwrap()
                .is_none()
        );
        assert!(
            store
                .message_head(&2_000_010_u128.to_be_bytes())
                .unwrap()
                .is_some()
        );
        assert!(!store.take_tombstone(&2_u128.to_be_bytes(), row).unwrap());
        assert!(!store.take_tombstone(&3_u128.to_be_bytes(), other).unwrap());
        assert!(store.take_tombstone(&3_u128.to_be_bytes(), row).unwrap());
    }

    #[test]
    fn bounding_silent_rows_uses_the_index() {
        let (_dir, store) = scratch();
        let plan: String = store
            .connection
            .query_row(
                "EXPLAIN QUERY PLAN SELECT row FROM messages
                 WHERE contact = 1 AND own = 0 AND kind = 2 AND (kind <> 0 OR gone > 1)
                 ORDER BY row DESC LIMIT -1 OFFSET 9",
                [],
                |row| row.get(3),
            )
            .unwrap();
        assert!(plan.contains("messages_silent"), "{plan}");
    }
}
