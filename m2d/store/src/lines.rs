//! The daemon's own relays and the lines of contacts (docs/spec/line.md).

use super::{Store, StoreError, array, int, join, split, unbits};
use crate::{ContactRowId, RelayRowId};
use m2_core::{ContactLine, LineTokens};
use m2_crypto::PeerId;
use m2_crypto::line::{JOIN_TOKEN_BYTES, JoinToken};
use rusqlite::Row;
use std::net::SocketAddr;

/// A relay that this daemon uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineRow {
    /// The number of the row.
    pub row: RelayRowId,
    /// The peer id of the relay.
    pub relay: PeerId,
    /// The addresses of the relay.
    pub addresses: Vec<SocketAddr>,
    /// True for an entry relay: it is used in front of other relays, and contacts are not told
    /// about it.
    pub entry: bool,
    /// The time at which it was added, in Unix milliseconds.
    pub created_ms: u64,
}

impl Store {
    /// Returns the daemon's own relays, oldest first.
    pub fn lines(&self) -> Result<Vec<LineRow>, StoreError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT row, relay, addresses, entry, created_ms FROM lines ORDER BY row",
        )?;
        let mut rows = statement.query([])?;
        let mut lines = Vec::new();
        while let Some(row) = rows.next()? {
            lines.push(parse_line(row)?);
        }
        Ok(lines)
    }

    /// Inserts a relay, or updates the one with the same peer id. Returns the stored row.
    pub fn put_line(&self, line: &LineRow) -> Result<LineRow, StoreError> {
        let mut statement = self.connection.prepare_cached(
            "INSERT INTO lines(relay, addresses, entry, created_ms) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT(relay) DO UPDATE SET addresses = ?2, entry = ?3
             RETURNING row, relay, addresses, entry, created_ms",
        )?;
        let mut rows = statement.query((
            line.relay.as_bytes(),
            join(&line.addresses),
            line.entry,
            int(line.created_ms),
        ))?;
        let stored = parse_line(rows.next()?.ok_or(StoreError::Corrupt("line"))?)?;
        // The statement takes effect only once it has been stepped to its end.
        while rows.next()?.is_some() {}
        Ok(stored)
    }

    /// Deletes a relay.
    pub fn delete_line(&self, row: RelayRowId) -> Result<(), StoreError> {
        self.connection
            .prepare_cached("DELETE FROM lines WHERE row = ?1")?
            .execute([row])?;
        Ok(())
    }

    /// Returns the lines on which a contact can be dialled, in the contact's order.
    pub fn contact_lines(&self, contact: ContactRowId) -> Result<Vec<ContactLine>, StoreError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT relay, addresses, first_day, tokens FROM contact_lines
             WHERE contact = ?1 ORDER BY place",
        )?;
        let mut rows = statement.query([contact])?;
        let mut lines = Vec::new();
        while let Some(row) = rows.next()? {
            lines.push(ContactLine {
                relay: PeerId::from_bytes(row.get(0)?),
                addresses: split(&row.get::<_, String>(1)?)?,
                tokens: parse_tokens(row.get(2)?, &row.get::<_, Vec<u8>>(3)?)?,
            });
        }
        Ok(lines)
    }

    /// Replaces the lines on which a contact can be dialled.
    pub fn replace_contact_lines(
        &self,
        contact: ContactRowId,
        lines: &[ContactLine],
    ) -> Result<(), StoreError> {
        self.connection
            .prepare_cached("DELETE FROM contact_lines WHERE contact = ?1")?
            .execute([contact])?;
        for (place, line) in (0_i64..).zip(lines) {
            let (first_day, tokens) = columns(&line.tokens);
            self.connection
                .prepare_cached("INSERT INTO contact_lines VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?
                .execute((
                    contact,
                    place,
                    line.relay.as_bytes(),
                    join(&line.addresses),
                    first_day,
                    tokens,
                ))?;
        }
        Ok(())
    }
}

fn parse_line(row: &Row<'_>) -> Result<LineRow, StoreError> {
    Ok(LineRow {
        row: row.get(0)?,
        relay: PeerId::from_bytes(row.get(1)?),
        addresses: split(&row.get::<_, String>(2)?)?,
        entry: row.get(3)?,
        created_ms: unbits(row.get(4)?),
    })
}

fn columns(tokens: &LineTokens) -> (Option<u32>, Vec<u8>) {
    match tokens {
        LineTokens::Always(token) => (None, token.0.to_vec()),
        LineTokens::Daily { first_day, tokens } => {
            let bytes = tokens.iter().flat_map(|token| token.0).collect();
            (Some(*first_day), bytes)
        }
    }
}

fn parse_tokens(first_day: Option<u32>, bytes: &[u8]) -> Result<LineTokens, StoreError> {
    let Some(first_day) = first_day else {
        return Ok(LineTokens::Always(JoinToken(array(bytes, "line")?)));
    };
    let tokens = bytes
        .chunks(JOIN_TOKEN_BYTES)
        .map(|chunk| array(chunk, "line").map(JoinToken))
        .collect::<Result<_, _>>()?;
    Ok(LineTokens::Daily { first_day, tokens })
}

#[cfg(test)]
mod tests {
    use super::super::ContactRow;
    use super::super::tests::scratch;
    use super::*;
    use m2_core::ContactState;

    fn contact(store: &Store) -> ContactRowId {
        let contact = ContactRow::new(PeerId::from_bytes([1; 32]), ContactState::Contact, 1);
        store.insert_contact(&contact).unwrap()
    }

    fn token(number: u8) -> JoinToken {
        JoinToken([number; JOIN_TOKEN_BYTES])
    }

    #[test]
    fn a_relay_is_stored_once_and_keeps_its_creation_time() {
        let (_dir, store) = scratch();
        let line = LineRow {
            row: RelayRowId::default(),
            relay: PeerId::from_bytes([5; 32]),
            addresses: vec!["192.0.2.1:1".parse().unwrap()],
            entry: false,
            created_ms: 10,
        };
        let first = store.put_line(&line).unwrap();
        let later = LineRow {
            entry: true,
            created_ms: 20,
            ..line
        };
        let changed = store.put_line(&later).unwrap();
        assert_eq!((changed.row, changed.created_ms), (first.row, 10));
        assert!(changed.entry);
        assert_eq!(store.lines().unwrap(), [changed]);
        store.delete_line(first.row).unwrap();
        assert!(store.lines().unwrap().is_empty());
    }

    #[test]
    fn the_lines_of_a_contact_keep_their_order_and_are_deleted_with_it() {
        let (_dir, store) = scratch();
        let row = contact(&store);
        let line = |relay: u8, tokens| ContactLine {
            relay: PeerId::from_bytes([relay; 32]),
            addresses: vec!["[2001:db8::1]:2".parse().unwrap()],
            tokens,
        };
        let daily = LineTokens::Daily {
            first_day: 20_000,
            tokens: vec![token(1), token(2)],
        };
        let lines = [line(9, LineTokens::Always(token(7))), line(3, daily)];
        store.replace_contact_lines(row, &lines).unwrap();
        assert_eq!(store.contact_lines(row).unwrap(), lines);
        store.replace_contact_lines(row, &lines[1..]).unwrap();
        assert_eq!(store.contact_lines(row).unwrap(), lines[1..]);
        assert!(store.prune_contact(row, 9).unwrap().is_gone());
        assert!(store.contact_lines(row).unwrap().is_empty());
    }

    #[test]
    fn a_token_belongs_to_one_day() {
        let daily = LineTokens::Daily {
            first_day: 100,
            tokens: vec![token(1), token(2)],
        };
        let days = [99, 100, 101, 102, u32::MAX];
        let found = days.map(|day| daily.of_day(day));
        assert_eq!(found, [None, Some(token(1)), Some(token(2)), None, None]);
        assert_eq!(LineTokens::Always(token(3)).of_day(0), Some(token(3)));
    }
}
