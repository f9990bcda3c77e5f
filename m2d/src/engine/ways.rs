//! What is known of the ways to contacts, for users who want to see it.

use super::Engine;
use crate::config::IpMode;
use crate::refusal::Refusal;
use crate::store::{ContactLine, ContactState, KnownAddress};
use m2_crypto::PeerId;
use m2_crypto::address::NamedAddress;
use m2_crypto::presence::PresenceSecret;
use m2_net::delivery::Path;
use m2_proto::reason::Reason;
use std::time::Duration;

/// All ways to one contact.
#[derive(Debug, Clone)]
pub struct Ways {
    /// Who it is.
    pub peer: PeerId,
    /// What it is called here.
    pub name: String,
    /// Which of the ways may be taken.
    pub mode: IpMode,
    /// Where it was reached, or was told to be.
    pub known: Vec<KnownAddress>,
    /// Where it was found in the local network.
    pub lan: Vec<NamedAddress>,
    /// Where it was found in the DHT.
    pub dht: Vec<NamedAddress>,
    /// Lines on which it may be called.
    pub lines: Vec<ContactLine>,
    /// Under which it publishes for us.
    pub secret: Option<PresenceSecret>,
    /// The way of the session that is up, and its round trip time.
    pub session: Option<(Path, Duration)>,
}

impl Engine {
    /// The ways to one contact, or to a peer that we asked.
    pub fn ways_to(&mut self, contact: &str) -> Result<Ways, Refusal> {
        let row = self.resolve(contact)?;
        let state = self.contact_mut(row)?.state;
        if !matches!(state, ContactState::Asked | ContactState::Contact) {
            return Err(Refusal::new(Reason::NotAContact));
        }
        self.ways(row)
    }

    /// The ways to all contacts, by name.
    pub fn all_ways(&mut self) -> Result<Vec<Ways>, Refusal> {
        let rows: Vec<i64> = self.contacts_in(ContactState::Contact).collect();
        let ways = rows.into_iter().map(|row| self.ways(row));
        let mut ways: Vec<Ways> = ways.collect::<Result<_, _>>()?;
        ways.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(ways)
    }

    fn ways(&mut self, row: i64) -> Result<Ways, Refusal> {
        let (mode, steady) = (self.ip_mode(row), self.clock.steady_ms());
        let known = match mode {
            IpMode::LineOnly => Vec::new(),
            IpMode::Direct | IpMode::PreferLine => self.store.addresses(row)?,
        };
        let secret = self.secret_of(row)?;
        let lines = self.route(row)?.lines;
        let slot = self.slots.get(&row);
        let slot = slot.ok_or_else(|| Refusal::new(Reason::ContactUnknown))?;
        Ok(Ways {
            peer: slot.contact.peer_id,
            name: slot.contact.name.clone(),
            mode,
            known,
            lan: slot.found.lan(steady).to_vec(),
            dht: slot.found.dht().to_vec(),
            lines,
            secret,
            session: slot.link().map(|link| (link.path(), link.round_trip())),
        })
    }
}
