//! Contacts and their known addresses.

mod pruning;

use super::{Store, StoreError, array, int};
use crate::ContactRowId;
use m2_core::{ContactState, IpMode, KnownAddress};
use m2_crypto::{PeerId, Secret};
use rusqlite::{OptionalExtension, Row};

/// The maximum number of addresses kept for one contact.
const MAX_ADDRESSES: u32 = 8;

/// The pairwise secrets from which look-up keys are derived, one for each direction
/// (docs/spec/lookup.md#keys-of-a-day).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LookupSecrets {
    /// The secret for records that this daemon publishes to the contact.
    pub ours: Secret<32>,
    /// The secret for records that the contact publishes to this daemon.
    pub theirs: Secret<32>,
}

/// A row of the contacts table.
#[derive(Debug, Clone)]
pub struct ContactRow {
    /// The number of the row, 0 before it is stored.
    pub row: ContactRowId,
    /// The peer id.
    pub peer_id: PeerId,
    /// The local name of the contact.
    pub name: String,
    /// The state of the relation.
    pub state: ContactState,
    /// True if its verification code was compared.
    pub verified: bool,
    /// The SPKI DER of its certificate, once it was seen.
    pub certificate: Option<Vec<u8>>,
    /// The time at which the row was created, in Unix milliseconds.
    pub created_ms: u64,
    /// The time at which a session was last established, in Unix milliseconds; 0 for never.
    pub last_seen_ms: u64,
    /// The name that the peer suggested for itself.
    pub suggested_name: String,
    /// The token of the invitation with which this daemon asks the peer.
    pub invite_token: Option<Secret<16>>,
    /// True if the answer to its request is not sent yet.
    pub reply_due: bool,
    /// The time of removal in Unix milliseconds. Meaningful only in the state `Removed`.
    pub removed_ms: u64,
    /// The paths that its sessions may take; `None` for the profile's mode.
    pub ip: Option<IpMode>,
}

impl ContactRow {
    /// Returns a row without a name or any further data. Its row number is 0 until it is stored.
    pub const fn new(peer_id: PeerId, state: ContactState, now_ms: u64) -> Self {
        Self {
            row: ContactRowId::new(0),
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
    /// Returns all rows, including blocked and removed peers.
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

    /// Stores a new contact. Returns its row number.
    pub fn insert_contact(&self, contact: &ContactRow) -> Result<ContactRowId, StoreError> {
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
        Ok(ContactRowId::new(self.connection.last_insert_rowid()))
    }

    /// Stores the changeable columns of a contact.
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

    /// Stores the pairwise secrets, which both sides derived from one session.
    pub fn set_lookup_secrets(
        &self,
        contact: ContactRowId,
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

    /// Returns the known addresses of a contact, latest first.
    pub fn addresses(&self, contact: ContactRowId) -> Result<Vec<KnownAddress>, StoreError> {
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

    /// Deletes the known addresses of a contact.
    pub fn forget_addresses(&self, contact: ContactRowId) -> Result<(), StoreError> {
        self.connection
            .prepare_cached("DELETE FROM addresses WHERE contact = ?1")?
            .execute([contact])?;
        Ok(())
    }

    /// Stores an address and deletes the oldest beyond eight. A proved address stays proved if it
    /// is only named again.
    pub fn put_address(
        &self,
        contact: ContactRowId,
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
        state: contact_state(row.get(3)?)?,
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
    /// Returns the pairwise secrets with a contact, if they were derived.
    pub fn lookup_secrets(
        &self,
        contact: ContactRowId,
    ) -> Result<Option<LookupSecrets>, StoreError> {
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

fn contact_state(column: i64) -> Result<ContactState, StoreError> {
    Ok(match column {
        1 => ContactState::Asked,
        2 => ContactState::Request,
        3 => ContactState::Contact,
        4 => ContactState::Blocked,
        5 => ContactState::Declined,
        6 => ContactState::Removed,
        _ => return Err(StoreError::Corrupt("contact")),
    })
}
