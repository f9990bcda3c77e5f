//! Contacts and where they were reached.

mod pruning;

use super::{Store, StoreError, array, int};
use crate::config::IpMode;
use m2_crypto::address::NamedAddress;
use m2_crypto::{PeerId, Secret};
use rusqlite::{OptionalExtension, Row};
use std::fmt;
use std::net::SocketAddr;

/// Addresses kept for one contact.
const MAX_ADDRESSES: u32 = 8;

/// How far two peers have come. The numbers are the column's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i64)]
pub enum ContactState {
    /// We asked and wait for the answer.
    Asked = 1,
    /// The peer asked and waits.
    Request = 2,
    /// Both agreed.
    Contact = 3,
    /// We want to hear nothing of it.
    Blocked = 4,
    /// It declined.
    Declined = 5,
    /// Was a contact, or asked and was declined. Its row keeps the conversation's numbers for a
    /// while, and as long as there is history.
    Removed = 6,
}

/// An address of a contact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KnownAddress {
    /// It was reached there, and proved its peer id.
    Proved(SocketAddr),
    /// Its invitation named it.
    Named(NamedAddress),
}

impl fmt::Display for KnownAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Proved(address) => address.fmt(f),
            Self::Named(named) => named.fmt(f),
        }
    }
}

impl ContactState {
    fn from_column(value: i64) -> Result<Self, StoreError> {
        Ok(match value {
            1 => Self::Asked,
            2 => Self::Request,
            3 => Self::Contact,
            4 => Self::Blocked,
            5 => Self::Declined,
            6 => Self::Removed,
            _ => return Err(StoreError::Corrupt("contact")),
        })
    }
}

/// The pairwise secrets from which look-up keys are derived (spec §4), one a direction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LookupSecrets {
    /// For what we publish to the contact.
    pub ours: Secret<32>,
    /// For what the contact publishes to us.
    pub theirs: Secret<32>,
}

/// One contact as stored.
#[derive(Debug, Clone)]
pub struct ContactRow {
    /// The row's number.
    pub row: i64,
    /// Who it is.
    pub peer_id: PeerId,
    /// What it is called here.
    pub name: String,
    /// How far we have come.
    pub state: ContactState,
    /// Its verification code was compared.
    pub verified: bool,
    /// Its certificate's SPKI DER, once it was seen.
    pub certificate: Option<Vec<u8>>,
    /// When the row was made.
    pub created_ms: u64,
    /// When a session with it last came up.
    pub last_seen_ms: u64,
    /// What it calls itself.
    pub suggested_name: String,
    /// The token of the invitation by which we ask it.
    pub invite_token: Option<Secret<16>>,
    /// Our answer to its request could not be sent yet.
    pub reply_due: bool,
    /// When it was removed; means nothing in another state.
    pub removed_ms: u64,
    /// Which ways its sessions take; none: as the profile's (spec §7).
    pub ip: Option<IpMode>,
}

impl ContactRow {
    /// A peer without a name, of which nothing is known yet. Its row number is 0 until it is
    /// stored.
    pub const fn new(peer_id: PeerId, state: ContactState, now_ms: u64) -> Self {
        Self {
            row: 0,
            peer_id,
            name: String::new(),
            state,
            verified: false,
            certificate: None,
            created_ms: now_ms,
            last_seen_ms: 0,
            suggested_name: String::new(),
            invite_token: None,
            reply_due: false,
            removed_ms: now_ms,
            ip: None,
        }
    }
}

const COLUMNS: &str = "row, peer_id, name, state, verified, certificate, created_ms, \
                       last_seen_ms, suggested_name, invite_token, reply_due, removed_ms, \
                       ip_policy";

impl Store {
    /// All rows, blocked and removed ones too.
    pub fn contacts(&self) -> Result<Vec<ContactRow>, StoreError> {
        let mut statement = self
            .connection
            .prepare_cached(&format!("SELECT {COLUMNS} FROM contacts ORDER BY row"))?;
        let mut rows = statement.query([])?;
        let mut contacts = Vec::new();
        while let Some(row) = rows.next()? {
            contacts.push(parse(row)?);
        }
        Ok(contacts)
    }

    /// Stores a new contact and returns its row number.
    pub fn insert_contact(&self, contact: &ContactRow) -> Result<i64, StoreError> {
        self.connection
            .prepare_cached(
                "INSERT INTO contacts(peer_id, name, state, verified, certificate, created_ms,
                   last_seen_ms, suggested_name, invite_token, reply_due, removed_ms, ip_policy)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
            )?
            .execute((
                contact.peer_id.as_bytes(),
                &contact.name,
                contact.state as i64,
                contact.verified,
                &contact.certificate,
                int(contact.created_ms),
                int(contact.last_seen_ms),
                &contact.suggested_name,
                contact.invite_token.as_ref().map(|token| *token.expose()),
                contact.reply_due,
                int(contact.removed_ms),
                contact.ip.map(ip_column),
            ))?;
        Ok(self.connection.last_insert_rowid())
    }

    /// Stores a contact's changed columns.
    pub fn update_contact(&self, contact: &ContactRow) -> Result<(), StoreError> {
        self.connection
            .prepare_cached(
                "UPDATE contacts SET name = ?2, state = ?3, verified = ?4, certificate = ?5,
                   last_seen_ms = ?6, suggested_name = ?7, invite_token = ?8, reply_due = ?9,
                   removed_ms = ?10, ip_policy = ?11
                 WHERE row = ?1",
            )?
            .execute((
                contact.row,
                &contact.name,
                contact.state as i64,
                contact.verified,
                &contact.certificate,
                int(contact.last_seen_ms),
                &contact.suggested_name,
                contact.invite_token.as_ref().map(|token| *token.expose()),
                contact.reply_due,
                int(contact.removed_ms),
                contact.ip.map(ip_column),
            ))?;
        Ok(())
    }

    /// Stores the pairwise secrets that both took from one session.
    pub fn set_lookup_secrets(
        &self,
        contact: i64,
        secrets: &LookupSecrets,
    ) -> Result<(), StoreError> {
        let mut bytes = zeroize::Zeroizing::new([0; 64]);
        let (ours, theirs) = bytes.split_at_mut(32);
        ours.copy_from_slice(secrets.ours.expose());
        theirs.copy_from_slice(secrets.theirs.expose());
        self.connection
            .prepare_cached("UPDATE contacts SET lookup_secrets = ?2 WHERE row = ?1")?
            .execute((contact, bytes.as_slice()))?;
        Ok(())
    }

    /// The addresses at which a contact was reached or said to be, the latest first.
    pub fn addresses(&self, contact: i64) -> Result<Vec<KnownAddress>, StoreError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT address, proved FROM addresses WHERE contact = ?1
               ORDER BY seen_ms DESC, address",
        )?;
        let mut rows = statement.query([contact])?;
        let mut addresses = Vec::new();
        while let Some(row) = rows.next()? {
            let (text, proved): (String, bool) = (row.get(0)?, row.get(1)?);
            let corrupt = StoreError::Corrupt("address");
            addresses.push(match proved {
                true => KnownAddress::Proved(text.parse().map_err(|_| corrupt)?),
                false => KnownAddress::Named(text.parse().map_err(|_| corrupt)?),
            });
        }
        Ok(addresses)
    }

    /// Forgets where a contact was reached.
    pub fn forget_addresses(&self, contact: i64) -> Result<(), StoreError> {
        self.connection
            .prepare_cached("DELETE FROM addresses WHERE contact = ?1")?
            .execute([contact])?;
        Ok(())
    }

    /// Remembers an address; the oldest beyond eight are forgotten. One where the contact was reached
    /// stays one when it is only named again.
    pub fn put_address(
        &self,
        contact: i64,
        address: KnownAddress,
        seen_ms: u64,
    ) -> Result<(), StoreError> {
        let proved = matches!(address, KnownAddress::Proved(_));
        self.connection
            .prepare_cached(
                "INSERT INTO addresses(contact, address, seen_ms, proved) VALUES (?1, ?2, ?3, ?4)
                   ON CONFLICT DO UPDATE SET seen_ms = ?3, proved = proved OR ?4",
            )?
            .execute((contact, address.to_string(), int(seen_ms), proved))?;
        self.connection
            .prepare_cached(
                "DELETE FROM addresses WHERE contact = ?1 AND address NOT IN
                   (SELECT address FROM addresses WHERE contact = ?1
                    ORDER BY seen_ms DESC, address LIMIT ?2)",
            )?
            .execute((contact, MAX_ADDRESSES))?;
        Ok(())
    }
}

fn parse(row: &Row<'_>) -> Result<ContactRow, StoreError> {
    let peer_id: [u8; 32] = row.get(1)?;
    let token: Option<[u8; 16]> = row.get(9)?;
    Ok(ContactRow {
        row: row.get(0)?,
        peer_id: PeerId::from_bytes(peer_id),
        name: row.get(2)?,
        state: ContactState::from_column(row.get(3)?)?,
        verified: row.get(4)?,
        certificate: row.get(5)?,
        created_ms: super::unbits(row.get(6)?),
        last_seen_ms: super::unbits(row.get(7)?),
        suggested_name: row.get(8)?,
        invite_token: token.map(Secret::new),
        reply_due: row.get(10)?,
        removed_ms: super::unbits(row.get(11)?),
        ip: row.get::<_, Option<i64>>(12)?.map(parse_ip).transpose()?,
    })
}

const fn ip_column(mode: IpMode) -> i64 {
    match mode {
        IpMode::Direct => 1,
        IpMode::PreferLine => 2,
        IpMode::LineOnly => 3,
    }
}

const fn parse_ip(column: i64) -> Result<IpMode, StoreError> {
    Ok(match column {
        1 => IpMode::Direct,
        2 => IpMode::PreferLine,
        3 => IpMode::LineOnly,
        _ => return Err(StoreError::Corrupt("contact")),
    })
}

impl Store {
    /// The pairwise secrets with a contact, if both took them.
    pub fn lookup_secrets(&self, contact: i64) -> Result<Option<LookupSecrets>, StoreError> {
        let bytes: Option<Option<Vec<u8>>> = self
            .connection
            .prepare_cached("SELECT lookup_secrets FROM contacts WHERE row = ?1")?
            .query_row([contact], |row| row.get(0))
            .optional()?;
        let Some(bytes) = bytes.flatten().map(zeroize::Zeroizing::new) else {
            return Ok(None);
        };
        let both: [u8; 64] = array(&bytes, "look-up secret")?;
        let both = zeroize::Zeroizing::new(both);
        let (ours, theirs) = both.split_at(32);
        Ok(Secret::from_slice(ours)
            .zip(Secret::from_slice(theirs))
            .map(|(ours, theirs)| LookupSecrets { ours, theirs }))
    }
}
