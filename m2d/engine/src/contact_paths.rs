//! The known paths to contacts, for display.

use crate::refusal::Refusal;
use crate::state::State;
use crate::{lines, lookup};
use m2_core::IpMode;
use m2_core::sessions::SessionId;
use m2_core::{ContactLine, ContactState, KnownAddress};
use m2_crypto::PeerId;
use m2_crypto::address::NamedAddress;
use m2_crypto::presence::PresenceKey;
use m2_delivery::Path;
use m2_proto::reason::Reason;
use m2_store::ContactRowId;

/// All known paths to one contact.
#[derive(Debug, Clone)]
pub struct ContactPaths {
    /// The contact's peer id.
    pub peer: PeerId,
    /// The contact's local name.
    pub name: String,
    /// Determines which of the paths may be tried.
    pub mode: IpMode,
    /// Addresses at which the contact was reached or that it named.
    pub known: Vec<KnownAddress>,
    /// Addresses found in the local network.
    pub lan: Vec<NamedAddress>,
    /// Addresses found in the DHT.
    pub dht: Vec<NamedAddress>,
    /// Lines on which the contact may be dialled.
    pub lines: Vec<ContactLine>,
    /// What the contact publishes under for this daemon.
    pub key: Option<PresenceKey>,
    /// The path of the current session, and the session's id.
    pub session: Option<(Path, SessionId)>,
}

/// Returns the paths to a contact, or to a peer that this daemon asked.
pub(crate) fn paths_to(engine: &mut State, contact: &str) -> Result<ContactPaths, Refusal> {
    let row = engine.peers.resolve(contact)?;
    let state = engine.peers.contact_mut(row)?.state;
    if !matches!(state, ContactState::Asked | ContactState::Contact) {
        return Err(Refusal::new(Reason::NotAContact));
    }
    ways(engine, row)
}

/// Returns the paths to all contacts, sorted by name.
pub(crate) fn all_paths(engine: &mut State) -> Result<Vec<ContactPaths>, Refusal> {
    let rows: Vec<ContactRowId> = engine.peers.contacts_in(ContactState::Contact).collect();
    let ways = rows.into_iter().map(|row| ways(engine, row));
    let mut ways: Vec<ContactPaths> = ways.collect::<Result<_, _>>()?;
    ways.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(ways)
}

fn ways(engine: &mut State, row: ContactRowId) -> Result<ContactPaths, Refusal> {
    let (mode, steady) = (lines::ip_mode(engine, row), engine.batch.clock.steady_ms());
    let known = match mode {
        IpMode::LineOnly => Vec::new(),
        IpMode::Direct | IpMode::PreferLine => engine.batch.store.addresses(row)?,
    };
    let key = lookup::key_of(engine, row)?;
    let lines = lines::route(engine, row)?.lines;
    let peer_state = engine.peers.get(&row);
    let peer_state = peer_state.ok_or_else(|| Refusal::new(Reason::ContactUnknown))?;
    Ok(ContactPaths {
        peer: peer_state.contact.peer_id,
        name: peer_state.contact.name.clone(),
        mode,
        known,
        lan: peer_state.found.lan(steady).to_vec(),
        dht: peer_state.found.dht().to_vec(),
        lines,
        key,
        session: peer_state.link().map(|link| (link.path, link.id)),
    })
}
