//! The remaining budgets for dials to addresses that contacts named
//! (docs/spec/reach.md#addresses-that-others-name).

use super::{Store, StoreError, int, unbits};
use m2_core::address_budget::Level;
use m2_crypto::PeerId;

impl Store {
    /// Returns the budgets that were stored at or after `since_ms`. Earlier ones have refilled
    /// completely since.
    pub fn budgets(&self, since_ms: u64) -> Result<Vec<Level>, StoreError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT peer_id, datagrams, bytes, at_ms FROM address_budgets WHERE at_ms >= ?1",
        )?;
        let rows = statement.query_map([int(since_ms)], |row| {
            Ok(Level {
                contact: PeerId::from_bytes(row.get(0)?),
                datagrams: unbits(row.get(1)?),
                bytes: unbits(row.get(2)?),
                at_ms: unbits(row.get(3)?),
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Stores the remaining budget of a contact.
    pub fn put_budget(&self, left: &Level) -> Result<(), StoreError> {
        self.connection
            .prepare_cached("INSERT OR REPLACE INTO address_budgets VALUES (?1, ?2, ?3, ?4)")?
            .execute((
                left.contact.as_bytes(),
                int(left.datagrams),
                int(left.bytes),
                int(left.at_ms),
            ))?;
        Ok(())
    }

    /// Deletes budgets that were stored before `since_ms`: they have refilled completely since.
    pub fn prune_budgets(&self, since_ms: u64) -> Result<(), StoreError> {
        self.connection
            .prepare_cached("DELETE FROM address_budgets WHERE at_ms < ?1")?
            .execute([int(since_ms)])?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::scratch;

    #[test]
    fn a_budget_is_kept_until_it_has_refilled() {
        let (_dir, store) = scratch();
        let row = |contact: u8, at_ms| Level {
            contact: PeerId::from_bytes([contact; 32]),
            datagrams: 5,
            bytes: 6,
            at_ms,
        };
        store.put_budget(&row(1, 10)).unwrap();
        store.put_budget(&row(2, 20)).unwrap();
        store.put_budget(&row(2, 30)).unwrap();
        assert_eq!(store.budgets(11).unwrap(), [row(2, 30)]);
        store.prune_budgets(11).unwrap();
        assert_eq!(store.budgets(0).unwrap(), [row(2, 30)]);
    }
}
