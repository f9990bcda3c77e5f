//! The daemon's own boxes at providers, the contacts that may deposit into them, and the boxes of
//! contacts (docs/spec/mailbox.md).

use super::{Store, StoreError, array, int, join, split, unbits};
use crate::{BoxRowId, ContactRowId};
use m2_crypto::mailbox::TokenSeed;
use m2_crypto::{PeerId, Secret};
use m2_wire::mailbox::OfferedBox;
use rusqlite::{OptionalExtension, Row};
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
    /// The maximum number of unused deposit tokens of the box.
    pub max_tokens: u32,
    /// The time of the request for the box, in Unix milliseconds.
    pub created_ms: u64,
}

/// The deposit tokens of one contact for one own box.
#[derive(Debug, Clone)]
pub struct GrantRow {
    /// The row of the contact.
    pub contact: ContactRowId,
    /// The row of the box.
    pub mailbox: BoxRowId,
    /// The seed from which the tokens are derived.
    pub seed: TokenSeed,
    /// The number of the first token that may be unused.
    pub first: u64,
    /// The number of the first token that the provider does not have yet.
    pub next: u64,
}

/// A box of a contact.
#[derive(Debug, Clone)]
pub struct OfferRow {
    /// The box as the contact offered it.
    pub offered: OfferedBox,
    /// The number of the token for the next deposit.
    pub next: u64,
}

const MAILBOX: &str = "row, provider, addresses, invite_token, state, max_tokens, created_ms";

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
                "INSERT INTO mailboxes(provider, addresses, invite_token, state, max_tokens,
                   created_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
                 ON CONFLICT(provider) DO UPDATE SET addresses = ?2, invite_token = ?3,
                   state = ?4, max_tokens = ?5
                 RETURNING row",
            )?
            .query_row(
                (
                    mailbox.provider.as_bytes(),
                    join(&mailbox.addresses),
                    mailbox.invite_token.as_ref().map(|token| *token.expose()),
                    mailbox.state as i64,
                    mailbox.max_tokens,
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
            "SELECT contact, mailbox, seed, first, next FROM mailbox_grants WHERE {filter}"
        ))?;
        let rows = statement.query_map([key], |row| {
            Ok(GrantRow {
                contact: row.get(0)?,
                mailbox: row.get(1)?,
                seed: TokenSeed::new(Secret::new(row.get(2)?)),
                first: unbits(row.get(3)?),
                next: unbits(row.get(4)?),
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Inserts or replaces a grant.
    pub fn put_grant(&self, grant: &GrantRow) -> Result<(), StoreError> {
        self.connection
            .prepare_cached("INSERT OR REPLACE INTO mailbox_grants VALUES (?1, ?2, ?3, ?4, ?5)")?
            .execute((
                grant.contact,
                grant.mailbox,
                grant.seed.expose(),
                int(grant.first),
                int(grant.next),
            ))?;
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
    pub fn offers(&self, contact: ContactRowId) -> Result<Vec<OfferRow>, StoreError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT provider, addresses, seed, next FROM mailbox_offers WHERE contact = ?1",
        )?;
        let mut rows = statement.query([contact])?;
        let mut offers = Vec::new();
        while let Some(row) = rows.next()? {
            offers.push(OfferRow {
                offered: OfferedBox {
                    provider: PeerId::from_bytes(row.get(0)?),
                    addresses: split(&row.get::<_, String>(1)?)?,
                    seed: TokenSeed::new(Secret::new(row.get(2)?)),
                },
                next: unbits(row.get(3)?),
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

    /// Replaces the boxes that a contact offered. If a box keeps its seed, its token numbers
    /// continue.
    pub fn replace_offers(
        &self,
        contact: ContactRowId,
        boxes: &[OfferedBox],
    ) -> Result<(), StoreError> {
        let before = self.offers(contact)?;
        self.connection
            .prepare_cached("DELETE FROM mailbox_offers WHERE contact = ?1")?
            .execute([contact])?;
        for offered in boxes {
            let known = before.iter().find(|row| {
                row.offered.provider == offered.provider
                    && row.offered.seed.expose() == offered.seed.expose()
            });
            self.put_offer(contact, offered, known.map_or(0, |row| row.next))?;
        }
        Ok(())
    }

    fn put_offer(
        &self,
        contact: ContactRowId,
        offered: &OfferedBox,
        next: u64,
    ) -> Result<(), StoreError> {
        self.connection
            .prepare_cached("INSERT OR REPLACE INTO mailbox_offers VALUES (?1, ?2, ?3, ?4, ?5)")?
            .execute((
                contact,
                offered.provider.as_bytes(),
                join(&offered.addresses),
                offered.seed.expose(),
                int(next),
            ))?;
        Ok(())
    }

    /// Reserves the next token number of an offer and returns it.
    pub fn next_token(
        &self,
        contact: ContactRowId,
        provider: &PeerId,
    ) -> Result<Option<u64>, StoreError> {
        let next: Option<i64> = self
            .connection
            .prepare_cached(
                "UPDATE mailbox_offers SET next = next + 1
                 WHERE contact = ?1 AND provider = ?2 RETURNING next - 1",
            )?
            .query_row((contact, provider.as_bytes()), |row| row.get(0))
            .optional()?;
        Ok(next.map(unbits))
    }
}

fn parse_mailbox(row: &Row<'_>) -> Result<MailboxRow, StoreError> {
    let token: Option<Vec<u8>> = row.get(3)?;
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
        max_tokens: row.get(5)?,
        created_ms: unbits(row.get(6)?),
    })
}
