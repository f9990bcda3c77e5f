//! Invitations that were given out.

use super::{Store, StoreError, int, unbits};
use m2_crypto::Secret;
use rusqlite::{OptionalExtension, Row};

/// One invitation as stored.
#[derive(Debug, Clone)]
pub struct InvitationRow {
    /// Names it: the hash of its token.
    pub id: [u8; 16],
    /// What its holder proves to know.
    pub token: Secret<16>,
    /// Its own look-up secret.
    pub rendezvous: Secret<32>,
    /// May be used more than once.
    pub reusable: bool,
    /// When it was made.
    pub created_ms: u64,
    /// When it ends.
    pub expires_ms: u64,
    /// Contacts that came by it.
    pub uses: u32,
    /// What they will be called here.
    pub contact_name: String,
}

impl InvitationRow {
    /// Whether it can still make a contact.
    pub fn is_open(&self, now_ms: u64) -> bool {
        now_ms < self.expires_ms && (self.reusable || self.uses == 0)
    }
}

const COLUMNS: &str = "id, token, rendezvous, reusable, created_ms, expires_ms, uses, contact_name";

impl Store {
    /// Stores a new invitation.
    pub fn insert_invitation(&self, invitation: &InvitationRow) -> Result<(), StoreError> {
        self.connection
            .prepare_cached("INSERT INTO invitations VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")?
            .execute((
                invitation.id,
                invitation.token.expose(),
                invitation.rendezvous.expose(),
                invitation.reusable,
                int(invitation.created_ms),
                int(invitation.expires_ms),
                invitation.uses,
                &invitation.contact_name,
            ))?;
        Ok(())
    }

    /// One invitation, open or not.
    pub fn invitation(&self, id: &[u8; 16]) -> Result<Option<InvitationRow>, StoreError> {
        Ok(self
            .connection
            .prepare_cached(&format!("SELECT {COLUMNS} FROM invitations WHERE id = ?1"))?
            .query_row([id], parse)
            .optional()?)
    }

    /// All that are stored, oldest first.
    pub fn invitations(&self) -> Result<Vec<InvitationRow>, StoreError> {
        let mut statement = self.connection.prepare_cached(&format!(
            "SELECT {COLUMNS} FROM invitations ORDER BY created_ms, id"
        ))?;
        let rows = statement.query_map([], parse)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Counts one use.
    pub fn use_invitation(&self, id: &[u8; 16]) -> Result<(), StoreError> {
        self.connection
            .prepare_cached("UPDATE invitations SET uses = uses + 1 WHERE id = ?1")?
            .execute([id])?;
        Ok(())
    }

    /// Forgets one. Says whether it was there.
    pub fn delete_invitation(&self, id: &[u8; 16]) -> Result<bool, StoreError> {
        let changed = self
            .connection
            .prepare_cached("DELETE FROM invitations WHERE id = ?1")?
            .execute([id])?;
        Ok(changed > 0)
    }

    /// Forgets those that can make no contact any more.
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
        rendezvous: Secret::new(row.get(2)?),
        reusable: row.get(3)?,
        created_ms: unbits(row.get(4)?),
        expires_ms: unbits(row.get(5)?),
        uses: row.get(6)?,
        contact_name: row.get(7)?,
    })
}
