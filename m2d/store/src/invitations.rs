//! Invitations that this daemon issued (docs/spec/identity.md#invitations).

use super::{Store, StoreError, int, unbits};
use m2_crypto::Secret;
use rusqlite::{OptionalExtension, Row};

/// A row of the invitations table.
#[derive(Debug, Clone)]
pub struct InvitationRow {
    /// The id of the invitation: the hash of its token.
    pub id: [u8; 16],
    /// The secret that the holder of the invitation must prove to know.
    pub token: Secret<16>,
    /// The seed of the ed25519 key of its presence records.
    pub record_seed: Secret<32>,
    /// True if it may be used more than once.
    pub reusable: bool,
    /// The time of creation in Unix milliseconds.
    pub created_ms: u64,
    /// The time at which it expires, in Unix milliseconds.
    pub expires_ms: u64,
    /// The number of contacts that used it.
    pub uses: u32,
    /// The local name for contacts that use it.
    pub contact_name: String,
}

impl InvitationRow {
    /// Returns whether it can still be used.
    pub fn is_open(&self, now_ms: u64) -> bool {
        now_ms < self.expires_ms && (self.reusable || self.uses == 0)
    }
}

const COLUMNS: &str =
    "id, token, record_seed, reusable, created_ms, expires_ms, uses, contact_name";

impl Store {
    /// Stores a new invitation.
    pub fn insert_invitation(&self, invitation: &InvitationRow) -> Result<(), StoreError> {
        self.connection
            .prepare_cached("INSERT INTO invitations VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")?
            .execute((
                invitation.id,
                invitation.token.expose(),
                invitation.record_seed.expose(),
                invitation.reusable,
                int(invitation.created_ms),
                int(invitation.expires_ms),
                invitation.uses,
                &invitation.contact_name,
            ))?;
        Ok(())
    }

    /// Returns an invitation, whether or not it can still be used.
    pub fn invitation(&self, id: &[u8; 16]) -> Result<Option<InvitationRow>, StoreError> {
        Ok(self
            .connection
            .prepare_cached(&format!("SELECT {COLUMNS} FROM invitations WHERE id = ?1"))?
            .query_row([id], parse)
            .optional()?)
    }

    /// Returns all stored invitations, oldest first.
    pub fn invitations(&self) -> Result<Vec<InvitationRow>, StoreError> {
        let mut statement = self.connection.prepare_cached(&format!(
            "SELECT {COLUMNS} FROM invitations ORDER BY created_ms, id"
        ))?;
        let rows = statement.query_map([], parse)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Increments the number of uses.
    pub fn use_invitation(&self, id: &[u8; 16]) -> Result<(), StoreError> {
        self.connection
            .prepare_cached("UPDATE invitations SET uses = uses + 1 WHERE id = ?1")?
            .execute([id])?;
        Ok(())
    }

    /// Deletes an invitation. Returns whether it existed.
    pub fn delete_invitation(&self, id: &[u8; 16]) -> Result<bool, StoreError> {
        let changed = self
            .connection
            .prepare_cached("DELETE FROM invitations WHERE id = ?1")?
            .execute([id])?;
        Ok(changed > 0)
    }

    /// Deletes invitations that can no longer be used.
    pub fn prune_invitations(&self, now_ms: u64) -> Result<(), StoreError> {
        self.connection
            .prepare_cached(
                "DELETE FROM invitations WHERE expires_ms <= ?1 OR (reusable = 0 AND uses > 0)",
            )?
            .execute([int(now_ms)])?;
        Ok(())
    }
}

fn parse(row: &Row<'_>) -> rusqlite::Result<InvitationRow> {
    Ok(InvitationRow {
        id: row.get(0)?,
        token: Secret::new(row.get(1)?),
        record_seed: Secret::new(row.get(2)?),
        reusable: row.get(3)?,
        created_ms: unbits(row.get(4)?),
        expires_ms: unbits(row.get(5)?),
        uses: row.get(6)?,
        contact_name: row.get(7)?,
    })
}
