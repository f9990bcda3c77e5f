//! Whose announcements in the local network are recognised (docs/spec/lookup.md).

use super::Engine;
use crate::config::IpMode;
use crate::refusal::Refusal;
use crate::store::ContactState;
use m2_crypto::PeerId;
use m2_crypto::presence::PresenceSecret;

/// A peer that may be called where it announces itself.
#[derive(Debug, Clone)]
pub struct Near {
    /// Its id.
    pub peer: PeerId,
    /// The secret under which it announces itself to us.
    pub secret: PresenceSecret,
}

impl Engine {
    /// Contacts, and peers that we asked, that may be called directly. Also those with a session:
    /// it may be dead already, and where they are now is announced once.
    pub fn near(&mut self) -> Result<Vec<Near>, Refusal> {
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
