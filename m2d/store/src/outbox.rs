//! The outbox: messages that wait for the recipient's acknowledgement
//! (docs/spec/storage.md#tables).

use super::{Store, StoreError, array, bits, int, unbits};
use crate::ContactRowId;
use m2_delivery::{
    Body, Content, ContentHash, GiveUp, MessageId, MessageState, Path, Payload, SavedOutbox, Time,
};
use rusqlite::{OptionalExtension, Row};

/// The payload of a queued message.
#[derive(Debug, PartialEq, Eq)]
pub enum OutboxPayload {
    /// The encoded payload.
    There(Vec<u8>),
    /// The content of the message has been deleted.
    Erased,
    /// There is no outbox entry with this id.
    NoRow,
}

impl Store {
    /// Returns the messages that wait for a contact's acknowledgement.
    pub(super) fn saved_outbox(
        &self,
        contact: ContactRowId,
    ) -> Result<Vec<SavedOutbox>, StoreError> {
        self.all(OUTBOX, contact, parse_outbox)
    }

    /// Inserts or replaces an outbox entry, whose message must be stored. Without a payload, the
    /// message's own row must hold the content; before that row changes,
    /// [`Self::keep_payload`] must be called.
    pub fn put_outbox(
        &self,
        contact: ContactRowId,
        entry: &SavedOutbox,
        payload: Option<&[u8]>,
    ) -> Result<(), StoreError> {
        self.connection
            .prepare_cached(
                "INSERT OR REPLACE INTO outbox(message, contact, id, sequence, state, queued_ms,
                   expires_ms, hash, replaced, payload)
                 VALUES ((SELECT row FROM messages WHERE id = ?1), ?2, ?1, ?3, ?4, ?5, ?6, ?7,
                   ?8, ?9)",
            )?
            .execute((
                entry.id.0,
                contact,
                bits(entry.sequence),
                state_to_column(entry.state),
                int(entry.queued.0),
                entry.expires.map(|time| int(time.0)),
                entry.hash.0,
                entry.replaced.map(|hash| hash.0),
                payload,
            ))?;
        Ok(())
    }

    /// Sets the state of an outbox entry, if it exists.
    pub fn set_outbox_state(&self, id: &MessageId, state: MessageState) -> Result<(), StoreError> {
        self.connection
            .prepare_cached(&format!("UPDATE outbox SET state = ?2 WHERE {OUTBOX_ROW}"))?
            .execute((id.0, state_to_column(state)))?;
        Ok(())
    }

    /// Deletes an outbox entry.
    pub fn delete_outbox(&self, id: &MessageId) -> Result<(), StoreError> {
        self.connection
            .prepare_cached(&format!("DELETE FROM outbox WHERE {OUTBOX_ROW}"))?
            .execute([id.0])?;
        Ok(())
    }

    /// Returns the payload of an outbox entry: the stored payload, or one composed from the
    /// message's row.
    pub fn outbox_payload(&self, id: &MessageId) -> Result<OutboxPayload, StoreError> {
        Ok(self
            .connection
            .prepare_cached(
                "SELECT o.payload, o.sequence, o.queued_ms, o.expires_ms, m.media_type, m.content,
                        m.reply_to, m.thread
                 FROM messages m JOIN outbox o ON o.message = m.row WHERE m.id = ?1",
            )?
            .query_row([id.0], |row| Ok(parse_payload(row)))
            .optional()?
            .transpose()?
            .unwrap_or(OutboxPayload::NoRow))
    }

    /// Stores the payload of an outbox entry separately, because the message's own row is about to
    /// change.
    pub fn keep_payload(&self, id: &MessageId) -> Result<(), StoreError> {
        let OutboxPayload::There(payload) = self.outbox_payload(id)? else {
            return Ok(());
        };
        self.connection
            .prepare_cached(&format!(
                "UPDATE outbox SET payload = ?2 WHERE {OUTBOX_ROW}"
            ))?
            .execute((id.0, payload))?;
        Ok(())
    }

    /// Returns when the oldest message that waits for a contact was queued, in Unix milliseconds.
    pub fn oldest_queued_ms(&self, contact: ContactRowId) -> Result<Option<u64>, StoreError> {
        let sql = "SELECT queued_ms FROM outbox WHERE contact = ?1 ORDER BY message LIMIT 1";
        let mut statement = self.connection.prepare_cached(sql)?;
        let oldest = statement
            .query_row([contact], |row| row.get(0))
            .optional()?;
        Ok(oldest.map(unbits))
    }

    /// Returns whether messages wait for a contact's acknowledgement.
    pub fn has_outbox(&self, contact: ContactRowId) -> Result<bool, StoreError> {
        Ok(self
            .connection
            .prepare_cached(
                "SELECT EXISTS (SELECT 1 FROM outbox
                   WHERE contact = ?1 AND (state < 4 OR state = 8))",
            )?
            .query_row([contact], |row| row.get(0))?)
    }
}

/// Finds an outbox entry by message id `?1`, through the existing index of `messages`.
const OUTBOX_ROW: &str = "message = (SELECT row FROM messages WHERE id = ?1)";
const OUTBOX: &str = "SELECT id, sequence, state, queued_ms, expires_ms, hash, replaced \
                      FROM outbox WHERE contact = ?1";

fn parse_outbox(row: &Row<'_>) -> Result<SavedOutbox, StoreError> {
    let replaced: Option<Vec<u8>> = row.get(6)?;
    Ok(SavedOutbox {
        id: MessageId(row.get(0)?),
        sequence: unbits(row.get(1)?),
        state: state_from_column(row.get(2)?)?,
        queued: Time(unbits(row.get(3)?)),
        expires: row.get::<_, Option<i64>>(4)?.map(|ms| Time(unbits(ms))),
        hash: ContentHash(row.get(5)?),
        replaced: replaced
            .map(|hash| array(&hash, "outbox").map(ContentHash))
            .transpose()?,
    })
}

fn parse_payload(row: &Row<'_>) -> Result<OutboxPayload, StoreError> {
    if let Some(kept) = row.get(0)? {
        return Ok(OutboxPayload::There(kept));
    }
    let Some(data) = row.get::<_, Option<Vec<u8>>>(5)? else {
        return Ok(OutboxPayload::Erased);
    };
    let sent = unbits(row.get(2)?);
    let expires: Option<i64> = row.get(3)?;
    let ttl_ms = expires.map_or(0, |end| unbits(end).saturating_sub(sent));
    let content = Content::new(row.get::<_, String>(4)?, data)
        .map_err(|_| StoreError::Corrupt("outbox message"))?;
    let id = |at| Ok::<_, StoreError>(row.get::<_, Option<[u8; 16]>>(at)?.map(MessageId));
    let content = content.about(id(6)?, id(7)?);
    let payload = Payload {
        sequence: unbits(row.get(1)?),
        sent: Time(sent),
        ttl_s: u32::try_from(ttl_ms / 1_000).unwrap_or(u32::MAX),
        body: Body::Content(content),
        as_sent: None,
    };
    Ok(OutboxPayload::There(payload.encode()))
}

const fn state_to_column(state: MessageState) -> i64 {
    match state {
        MessageState::Queued => 1,
        MessageState::Sent(Path::Direct) => 2,
        MessageState::Sent(Path::Line) => 3,
        MessageState::Delivered => 4,
        MessageState::Deposited => 8,
        MessageState::GivenUp(GiveUp::Retracted) => 5,
        MessageState::GivenUp(GiveUp::ContactRemoved) => 6,
        MessageState::GivenUp(GiveUp::Expired) => 7,
        MessageState::GivenUp(GiveUp::Earlier) => 9,
    }
}

const fn state_from_column(value: i64) -> Result<MessageState, StoreError> {
    Ok(match value {
        1 => MessageState::Queued,
        2 => MessageState::Sent(Path::Direct),
        3 => MessageState::Sent(Path::Line),
        4 => MessageState::Delivered,
        8 => MessageState::Deposited,
        5 => MessageState::GivenUp(GiveUp::Retracted),
        6 => MessageState::GivenUp(GiveUp::ContactRemoved),
        7 => MessageState::GivenUp(GiveUp::Expired),
        9 => MessageState::GivenUp(GiveUp::Earlier),
        _ => return Err(StoreError::Corrupt("outbox")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MessageRowId;
    use crate::tests::scratch;
    use crate::{Gone, MessageKind, MessageRow, MessageState as Shown};

    const CONTACT: ContactRowId = ContactRowId::new(1);
    const ID: MessageId = MessageId([9; 16]);

    /// Returns a store with one message in the outbox that has a time to live, its payload, and its
    /// row.
    fn queued() -> (tempfile::TempDir, Store, Vec<u8>, MessageRowId) {
        let (dir, store) = scratch();
        store
            .connection
            .execute_batch(
                "INSERT INTO contacts(row, peer_id, name, state, created_ms)
                 VALUES (1, zeroblob(32), 'bob', 3, 0)",
            )
            .unwrap();
        let payload = Payload {
            sequence: 7,
            sent: Time(1_000),
            ttl_s: 60,
            body: Body::Content(
                Content::new("text/x-test", &b"first"[..])
                    .unwrap()
                    .about(Some(MessageId([3; 16])), Some(MessageId([4; 16]))),
            ),
            as_sent: None,
        };
        let row = store.insert_message(&row_of(&payload)).unwrap();
        let entry = SavedOutbox {
            id: ID,
            sequence: payload.sequence,
            state: MessageState::Queued,
            queued: payload.sent,
            expires: payload.expires(),
            hash: payload.hash(&ID),
            replaced: None,
        };
        store.put_outbox(CONTACT, &entry, None).unwrap();
        (dir, store, payload.encode(), row)
    }

    fn row_of(payload: &Payload) -> MessageRow {
        MessageRow {
            row: MessageRowId::default(),
            id: ID.0,
            contact: CONTACT,
            kind: MessageKind::Content,
            own: true,
            incarnation: 0,
            state: Shown::Queued,
            author_ms: payload.sent.0,
            stored_ms: payload.sent.0,
            hash: payload.hash(&ID).0,
            media_type: "text/x-test".to_owned(),
            content: Some(b"first".to_vec()),
            gone: Gone::No,
            expires_ms: payload.expires().map(|end| end.0),
            reply_to: Some([3; 16]),
            thread: Some([4; 16]),
        }
    }

    #[test]
    fn a_payload_is_read_from_its_message() {
        let (_dir, store, payload, _) = queued();
        let found = store.outbox_payload(&ID).unwrap();
        assert_eq!(found, OutboxPayload::There(payload));
        let none = store.outbox_payload(&MessageId([1; 16])).unwrap();
        assert_eq!(none, OutboxPayload::NoRow);
    }

    #[test]
    fn an_edit_does_not_change_the_queued_payload() {
        let (_dir, store, payload, row) = queued();
        store.keep_payload(&ID).unwrap();
        store.edit_message(row, "", b"second").unwrap();
        let found = store.outbox_payload(&ID).unwrap();
        assert_eq!(found, OutboxPayload::There(payload));
    }

    #[test]
    fn an_erased_message_has_no_payload() {
        let (_dir, store, _, row) = queued();
        store.erase_message(row, Gone::Expired).unwrap();
        let found = store.outbox_payload(&ID).unwrap();
        assert_eq!(found, OutboxPayload::Erased);
    }
}
