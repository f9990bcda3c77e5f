//! Pending contact requests, with their origin and time.

use super::{Store, StoreError, int, unbits};
use crate::ContactRowId;
use m2_core::requests::Origin;
use m2_limits::prefix::Prefix;

/// A pending contact request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestRow {
    /// The contact row of the requesting peer.
    pub contact: ContactRowId,
    /// The origin of the request.
    pub origin: Origin,
    /// The time of the request in Unix milliseconds.
    pub asked_ms: u64,
}

impl Store {
    /// Stores the origin and the time of a request.
    pub fn put_request(
        &self,
        contact: ContactRowId,
        origin: Origin,
        asked_ms: u64,
    ) -> Result<(), StoreError> {
        self.connection
            .prepare_cached("INSERT OR REPLACE INTO contact_requests VALUES (?1, ?2, ?3)")?
            .execute((contact, origin_column(origin), int(asked_ms)))?;
        Ok(())
    }

    /// Deletes a request that is no longer pending.
    pub fn delete_request(&self, contact: ContactRowId) -> Result<(), StoreError> {
        self.connection
            .prepare_cached("DELETE FROM contact_requests WHERE contact = ?1")?
            .execute([contact])?;
        Ok(())
    }

    /// Returns all stored requests, oldest first. They include answered requests that are not
    /// deleted yet.
    pub fn requests(&self) -> Result<Vec<RequestRow>, StoreError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT contact, origin, asked_ms FROM contact_requests ORDER BY asked_ms, contact",
        )?;
        let mut rows = statement.query([])?;
        let mut requests = Vec::new();
        while let Some(row) = rows.next()? {
            let origin: Vec<u8> = row.get(1)?;
            requests.push(RequestRow {
                contact: row.get(0)?,
                origin: origin_of(&origin)?,
                asked_ms: unbits(row.get(2)?),
            });
        }
        Ok(requests)
    }
}

fn origin_column(origin: Origin) -> Vec<u8> {
    match origin {
        Origin::Prefix(prefix) => prefix.to_bytes().to_vec(),
        Origin::Invitation(id) => id.to_vec(),
    }
}

fn origin_of(column: &[u8]) -> Result<Origin, StoreError> {
    if let Ok(prefix) = column.try_into() {
        return Ok(Origin::Prefix(Prefix::from_bytes(prefix)));
    }
    let id = column.try_into();
    id.map(Origin::Invitation)
        .map_err(|_| StoreError::Corrupt("contact request"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ContactRow;
    use crate::tests::scratch;
    use m2_core::ContactState;
    use m2_crypto::PeerId;
    use std::net::IpAddr;

    #[test]
    fn requests_are_returned_in_order() {
        let (_dir, store) = scratch();
        let contact = |number: u8, state| {
            let peer = PeerId::from_bytes([number; 32]);
            store
                .insert_contact(&ContactRow::new(peer, state, 1))
                .unwrap()
        };
        let one = contact(1, ContactState::Request);
        let two = contact(2, ContactState::Request);
        let gone = contact(3, ContactState::Request);
        let prefix = Origin::Prefix(Prefix::of(IpAddr::from([192, 0, 2, 1])));
        let invited = Origin::Invitation([7; 16]);
        store.put_request(one, prefix, 9).unwrap();
        store.put_request(two, invited, 5).unwrap();
        store.put_request(gone, prefix, 5).unwrap();
        store.delete_request(gone).unwrap();
        let found = store.requests().unwrap();
        let found: Vec<_> = found
            .iter()
            .map(|row| (row.contact, row.origin, row.asked_ms))
            .collect();
        assert_eq!(found, [(two, invited, 5), (one, prefix, 9)]);
    }
}
