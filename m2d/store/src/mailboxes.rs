//! The daemon's own boxes at providers, the contacts that may deposit into them, and the boxes of
//! contacts (docs/spec/mailbox.md).

use super::{Store, StoreError, array, int, join, split, unbits};
use crate::{BoxRowId, ContactRowId};
use m2_crypto::deposit::BoxKey;
use m2_crypto::{PeerId, Secret};
use m2_wire::mailbox::{OfferedBox, Series};
use rusqlite::Row;
use std::net::SocketAddr;

/// The consent of one contact's owners to letters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MailboxPolicy {
    /// True if the contact may deposit into this daemon's boxes.
    pub grants: bool,
    /// True if this daemon deposits into the contact's boxes.
    pub uses: bool,
}

/// The state of a box of this daemon. The numbers are values of the column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i64)]
pub enum MailboxState {
    /// The provider was asked for the box.
    Asked = 1,
    /// The box is open for letters.
    Open = 2,
    /// The provider refused the box.
    Refused = 3,
    /// The provider must still be asked to remove the box.
    Leaving = 4,
}

/// A box of this daemon at a provider.
#[derive(Debug, Clone)]
pub struct MailboxRow {
    /// The number of the row.
    pub row: BoxRowId,
    /// The peer id of the provider.
    pub provider: PeerId,
    /// The addresses of the provider.
    pub addresses: Vec<SocketAddr>,
    /// The token of the invitation with which this daemon asks for the box.
    pub invite_token: Option<Secret<16>>,
    /// The state of the box.
    pub state: MailboxState,
    /// The key of the box; `None` until it is drawn.
    pub key: Option<BoxKey>,
    /// True once the provider has confirmed the key.
    pub key_known: bool,
    /// The time of the request for the box, in Unix milliseconds.
    pub created_ms: u64,
}

/// A contact that may deposit into a box of this daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GrantRow {
    /// The row of the contact.
    pub contact: ContactRowId,
    /// The row of the box.
    pub mailbox: BoxRowId,
    /// The series of the contact's tokens.
    pub series: Series,
}

const MAILBOX: &str = "row, provider, addresses, invite_token, state, box_key, key_known,
     created_ms";

impl Store {
    /// Returns the policies of all contacts for which at least one direction is on.
    pub fn mailbox_policies(&self) -> Result<Vec<(ContactRowId, MailboxPolicy)>, StoreError> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT contact, grants, uses FROM mailbox_policies")?;
        let rows = statement.query_map([], |row| {
            let (grants, uses) = (row.get(1)?, row.get(2)?);
            Ok((row.get(0)?, MailboxPolicy { grants, uses }))
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Sets the policy of a contact.
    pub fn put_mailbox_policy(
        &self,
        contact: ContactRowId,
        policy: MailboxPolicy,
    ) -> Result<(), StoreError> {
        self.connection
            .prepare_cached("INSERT OR REPLACE INTO mailbox_policies VALUES (?1, ?2, ?3)")?
            .execute((contact, policy.grants, policy.uses))?;
        Ok(())
    }

    /// Returns the daemon's own boxes.
    pub fn mailboxes(&self) -> Result<Vec<MailboxRow>, StoreError> {
        let mut statement = self
            .connection
            .prepare_cached(&format!("SELECT {MAILBOX} FROM mailboxes ORDER BY row"))?;
        let mut rows = statement.query([])?;
        let mut boxes = Vec::new();
        while let Some(row) = rows.next()? {
            boxes.push(parse_mailbox(row)?);
        }
        Ok(boxes)
    }

    /// Inserts a box, or updates the one at the same provider. Returns its row number.
    pub fn put_mailbox(&self, mailbox: &MailboxRow) -> Result<BoxRowId, StoreError> {
        let row = self
            .connection
            .prepare_cached(
                "INSERT INTO mailboxes(provider, addresses, invite_token, state, box_key, key_known,
                   created_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
                 ON CONFLICT(provider) DO UPDATE SET addresses = ?2, invite_token = ?3,
                   state = ?4, box_key = ?5, key_known = ?6
                 RETURNING row",
            )?
            .query_row(
                (
                    mailbox.provider.as_bytes(),
                    join(&mailbox.addresses),
                    mailbox.invite_token.as_ref().map(|token| *token.expose()),
                    mailbox.state as i64,
                    mailbox.key.as_ref().map(BoxKey::expose),
                    mailbox.key_known,
                    int(mailbox.created_ms),
                ),
                |row| row.get(0),
            )?;
        Ok(row)
    }

    /// Deletes a box with its grants.
    pub fn delete_mailbox(&self, row: BoxRowId) -> Result<(), StoreError> {
        self.connection
            .prepare_cached("DELETE FROM mailboxes WHERE row = ?1")?
            .execute([row])?;
        Ok(())
    }

    /// Returns the grants for a box, one for each contact that may deposit into it.
    pub fn grants_of_mailbox(&self, mailbox: BoxRowId) -> Result<Vec<GrantRow>, StoreError> {
        self.grants("mailbox = ?1 ORDER BY contact", mailbox)
    }

    /// Returns the grants of a contact, one for each box that it may deposit into.
    pub fn grants_of_contact(&self, contact: ContactRowId) -> Result<Vec<GrantRow>, StoreError> {
        self.grants("contact = ?1 ORDER BY mailbox", contact)
    }

    fn grants(&self, filter: &str, key: impl rusqlite::ToSql) -> Result<Vec<GrantRow>, StoreError> {
        let mut statement = self.connection.prepare_cached(&format!(
            "SELECT contact, mailbox, series FROM mailbox_grants WHERE {filter}"
        ))?;
        let rows = statement.query_map([key], |row| {
            Ok(GrantRow {
                contact: row.get(0)?,
                mailbox: row.get(1)?,
                series: Series(row.get(2)?),
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Inserts or replaces a grant.
    pub fn put_grant(&self, grant: &GrantRow) -> Result<(), StoreError> {
        self.connection
            .prepare_cached("INSERT OR REPLACE INTO mailbox_grants VALUES (?1, ?2, ?3)")?
            .execute((grant.contact, grant.mailbox, grant.series.0))?;
        Ok(())
    }

    /// Deletes a grant.
    pub fn delete_grant(&self, grant: &GrantRow) -> Result<(), StoreError> {
        self.connection
            .prepare_cached("DELETE FROM mailbox_grants WHERE contact = ?1 AND mailbox = ?2")?
            .execute((grant.contact, grant.mailbox))?;
        Ok(())
    }

    /// Returns the boxes that a contact offered.
    pub fn offers(&self, contact: ContactRowId) -> Result<Vec<OfferedBox>, StoreError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT provider, addresses, series FROM mailbox_offers WHERE contact = ?1",
        )?;
        let mut rows = statement.query([contact])?;
        let mut offers = Vec::new();
        while let Some(row) = rows.next()? {
            offers.push(OfferedBox {
                provider: PeerId::from_bytes(row.get(0)?),
                addresses: split(&row.get::<_, String>(1)?)?,
                series: Series(row.get(2)?),
            });
        }
        Ok(offers)
    }

    /// Returns the contacts that offered boxes.
    pub fn contacts_with_offers(&self) -> Result<Vec<ContactRowId>, StoreError> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT DISTINCT contact FROM mailbox_offers")?;
        let rows = statement.query_map([], |row| row.get(0))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Replaces the boxes that a contact offered, and deletes its tokens of other series.
    pub fn replace_offers(
        &self,
        contact: ContactRowId,
        boxes: &[OfferedBox],
    ) -> Result<(), StoreError> {
        self.connection
            .prepare_cached("DELETE FROM mailbox_offers WHERE contact = ?1")?
            .execute([contact])?;
        let mut insert = self
            .connection
            .prepare_cached("INSERT OR REPLACE INTO mailbox_offers VALUES (?1, ?2, ?3, ?4)")?;
        for offered in boxes {
            insert.execute((
                contact,
                offered.provider.as_bytes(),
                join(&offered.addresses),
                offered.series.0,
            ))?;
        }
        let series: Vec<Series> = boxes.iter().map(|offered| offered.series).collect();
        self.drop_tokens_but(contact, &series)
    }
}

fn parse_mailbox(row: &Row<'_>) -> Result<MailboxRow, StoreError> {
    let token: Option<Vec<u8>> = row.get(3)?;
    let corrupt = || StoreError::Corrupt("mailbox");
    let key = row.get_ref(5)?.as_blob_or_null();
    let key = key.map_err(|_| corrupt())?;
    let key = key.map(|key| Secret::from_slice(key).ok_or_else(corrupt));
    Ok(MailboxRow {
        row: row.get(0)?,
        provider: PeerId::from_bytes(row.get(1)?),
        addresses: split(&row.get::<_, String>(2)?)?,
        invite_token: token
            .map(|bytes| array(&bytes, "mailbox").map(Secret::new))
            .transpose()?,
        state: match row.get(4)? {
            1 => MailboxState::Asked,
            2 => MailboxState::Open,
            3 => MailboxState::Refused,
            4 => MailboxState::Leaving,
            _ => return Err(StoreError::Corrupt("mailbox")),
        },
        key: key.transpose()?.map(BoxKey::new),
        key_known: row.get(6)?,
        created_ms: unbits(row.get(7)?),
    })
}
