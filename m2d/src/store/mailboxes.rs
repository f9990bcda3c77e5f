//! Our boxes at providers, who may deposit into them, and the boxes of contacts (spec §9).

use super::{Store, StoreError, array, int, join, split, unbits};
use m2_crypto::mailbox::TokenSeed;
use m2_crypto::{PeerId, Secret};
use m2_net::wire::mailbox::OfferedBox;
use rusqlite::{OptionalExtension, Row};
use std::net::SocketAddr;

/// The two switches of a contact.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MailboxPolicy {
    /// It may deposit into our boxes.
    pub grants: bool,
    /// We deposit into its boxes.
    pub uses: bool,
}

/// How far a box of ours has come. The numbers are the column's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i64)]
pub enum MailboxState {
    /// We asked the provider for it.
    Asked = 1,
    /// It takes letters.
    Open = 2,
    /// The provider said no.
    Refused = 3,
    /// The provider is to remove it.
    Leaving = 4,
}

/// One of our boxes.
#[derive(Debug, Clone)]
pub struct MailboxRow {
    /// The row's number.
    pub row: i64,
    /// Who keeps it.
    pub provider: PeerId,
    /// Where the provider is.
    pub addresses: Vec<SocketAddr>,
    /// The token of the invitation by which we ask for it.
    pub invite_token: Option<Secret<16>>,
    /// How far it has come.
    pub state: MailboxState,
    /// Unused tokens that it may have.
    pub max_tokens: u32,
    /// When it was asked for.
    pub created_ms: u64,
}

/// What a contact may deposit into one of our boxes with.
#[derive(Debug, Clone)]
pub struct GrantRow {
    /// The contact's row.
    pub contact: i64,
    /// The box's row.
    pub mailbox: i64,
    /// What its tokens follow from.
    pub seed: TokenSeed,
    /// The first token that may be unused.
    pub first: u64,
    /// The first that the provider was not given.
    pub next: u64,
}

/// A box of a contact.
#[derive(Debug, Clone)]
pub struct OfferRow {
    /// What was offered.
    pub offered: OfferedBox,
    /// The token of the next deposit.
    pub next: u64,
}

const MAILBOX: &str = "row, provider, addresses, invite_token, state, max_tokens, created_ms";

impl Store {
    /// The contacts' switches that are not both off.
    pub fn mailbox_policies(&self) -> Result<Vec<(i64, MailboxPolicy)>, StoreError> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT contact, grants, uses FROM mailbox_policies")?;
        let rows = statement.query_map([], |row| {
            let (grants, uses) = (row.get(1)?, row.get(2)?);
            Ok((row.get(0)?, MailboxPolicy { grants, uses }))
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Sets a contact's switches.
    pub fn put_mailbox_policy(
        &self,
        contact: i64,
        policy: MailboxPolicy,
    ) -> Result<(), StoreError> {
        self.connection
            .prepare_cached("INSERT OR REPLACE INTO mailbox_policies VALUES (?1, ?2, ?3)")?
            .execute((contact, policy.grants, policy.uses))?;
        Ok(())
    }

    /// Our boxes.
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

    /// Inserts a box, or changes that of the same provider. Gives its row.
    pub fn put_mailbox(&self, mailbox: &MailboxRow) -> Result<i64, StoreError> {
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

    /// Forgets a box with its grants.
    pub fn delete_mailbox(&self, row: i64) -> Result<(), StoreError> {
        self.connection
            .prepare_cached("DELETE FROM mailboxes WHERE row = ?1")?
            .execute([row])?;
        Ok(())
    }

    /// Who may deposit into a box.
    pub fn grants_of_mailbox(&self, mailbox: i64) -> Result<Vec<GrantRow>, StoreError> {
        self.grants("mailbox = ?1 ORDER BY contact", mailbox)
    }

    /// The boxes that a contact may deposit into.
    pub fn grants_of_contact(&self, contact: i64) -> Result<Vec<GrantRow>, StoreError> {
        self.grants("contact = ?1 ORDER BY mailbox", contact)
    }

    fn grants(&self, filter: &str, key: i64) -> Result<Vec<GrantRow>, StoreError> {
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

    /// Ends a grant.
    pub fn delete_grant(&self, grant: &GrantRow) -> Result<(), StoreError> {
        self.connection
            .prepare_cached("DELETE FROM mailbox_grants WHERE contact = ?1 AND mailbox = ?2")?
            .execute((grant.contact, grant.mailbox))?;
        Ok(())
    }

    /// The boxes that a contact offered.
    pub fn offers(&self, contact: i64) -> Result<Vec<OfferRow>, StoreError> {
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

    /// The contacts that offered boxes.
    pub fn contacts_with_offers(&self) -> Result<Vec<i64>, StoreError> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT DISTINCT contact FROM mailbox_offers")?;
        let rows = statement.query_map([], |row| row.get(0))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Replaces what a contact offered. Tokens of a seed that stays are counted on.
    pub fn replace_offers(&self, contact: i64, boxes: &[OfferedBox]) -> Result<(), StoreError> {
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

    fn put_offer(&self, contact: i64, offered: &OfferedBox, next: u64) -> Result<(), StoreError> {
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

    /// Takes the next token number of an offer.
    pub fn next_token(&self, contact: i64, provider: &PeerId) -> Result<Option<u64>, StoreError> {
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
