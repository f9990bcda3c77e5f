//! The highest suite of a completed session with a contact, a relay or a provider
//! (docs/spec/handshake.md#suites).

use super::{Store, StoreError};
use m2_crypto::PeerId;

/// The tables of the peers whose suites are stored, with the conditions on their rows. Of contacts,
/// those that this side asked, and those with whom both agreed.
const TABLES: [(&str, &str, &str); 3] = [
    ("contacts", "peer_id", "state IN (1, 3)"),
    ("lines", "relay", "TRUE"),
    ("mailboxes", "provider", "TRUE"),
];

impl Store {
    /// Stores the suite of a completed session with a peer, unless a higher one is stored. Returns
    /// whether anything changed: nothing does for a peer that is no contact, relay or provider.
    pub fn raise_suite(&self, peer: &PeerId, suite: u16) -> Result<bool, StoreError> {
        let mut changed = 0;
        for (table, column, condition) in TABLES {
            let update = format!(
                "UPDATE {table} SET suite = ?2 WHERE {column} = ?1 AND suite < ?2 AND {condition}"
            );
            let mut update = self.connection.prepare_cached(&update)?;
            changed += update.execute((peer.as_bytes(), suite))?;
        }
        Ok(changed > 0)
    }

    /// Returns the stored suites. A peer that is in several tables is named more than once.
    pub fn suites(&self) -> Result<Vec<(PeerId, u16)>, StoreError> {
        let mut suites = Vec::new();
        for (table, column, _) in TABLES {
            let query = format!("SELECT {column}, suite FROM {table} WHERE suite > 0");
            let mut query = self.connection.prepare_cached(&query)?;
            let mut rows = query.query([])?;
            while let Some(row) = rows.next()? {
                suites.push((PeerId::from_bytes(row.get(0)?), row.get(1)?));
            }
        }
        Ok(suites)
    }
}
