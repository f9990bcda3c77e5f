//! Peers whose announcements in the local network are recognised
//! (`docs/spec/lookup.md#announcements`).

use super::Engine;
use crate::refusal::Refusal;
use m2_core::ContactState;
use m2_core::IpMode;
use m2_crypto::PeerId;
use m2_crypto::presence::PresenceSecret;

/// A peer that may be dialled at the address it announces.
#[derive(Debug, Clone)]
pub struct Near {
    /// The peer's id.
    pub peer: PeerId,
    /// The secret under which the peer announces itself to this daemon.
    pub secret: PresenceSecret,
}

impl Engine {
    /// Returns the contacts and asked peers that may be dialled directly. Those with a session are
    /// included: the session may be dead already, and a new address is announced only once.
    pub(crate) fn near(&mut self) -> Result<Vec<Near>, Refusal> {
        let asked = self.contacts_in(ContactState::Asked);
        let rows: Vec<i64> = asked
            .chain(self.contacts_in(ContactState::Contact))
            .filter(|row| self.ip_mode(*row) == IpMode::Direct)
            .collect();
        let mut all = Vec::new();
        for row in rows {
            let peer = self.contact_mut(row)?.peer_id;
            let secret = self.secret_of(row)?;
            all.extend(secret.map(|secret| Near { peer, secret }));
        }
        Ok(all)
    }
}
