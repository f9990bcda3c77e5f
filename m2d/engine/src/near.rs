//! Peers whose announcements in the local network are recognised
//! (`docs/spec/lookup.md#announcements`).

use crate::refusal::Refusal;
use crate::state::State;
use crate::{lines, lookup};
use m2_core::{ContactState, IpMode};
use m2_crypto::PeerId;
use m2_crypto::presence::PresenceSecret;
use m2_store::ContactRowId;

/// A peer that may be dialled at the address it announces.
#[derive(Debug, Clone)]
pub struct Near {
    /// The peer's id.
    pub peer: PeerId,
    /// The secret under which the peer announces itself to this daemon.
    pub secret: PresenceSecret,
}

/// Returns the contacts and asked peers that may be dialled directly. Those with a session are
/// included: the session may be dead already, and a new address is announced only once.
pub(crate) fn near(engine: &mut State) -> Result<Vec<Near>, Refusal> {
    let asked = engine.peers.contacts_in(ContactState::Asked);
    let rows: Vec<ContactRowId> = asked
        .chain(engine.peers.contacts_in(ContactState::Contact))
        .filter(|row| lines::ip_mode(engine, *row) == IpMode::Direct)
        .collect();
    let mut all = Vec::new();
    for row in rows {
        let peer = engine.peers.contact_mut(row)?.peer_id;
        let key = lookup::key_of(engine, row)?;
        let secret = key.map(|key| key.secret().clone());
        all.extend(secret.map(|secret| Near { peer, secret }));
    }
    Ok(all)
}
