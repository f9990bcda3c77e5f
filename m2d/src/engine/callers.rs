//! Keeps the endpoint's list of contacts, whose dials are accepted before those of strangers.

use super::Engine;
use m2_core::ContactState;
use m2_store::StoreError;

impl Engine {
    /// Adds the peer to the list or removes it, depending on the state of its row.
    pub(super) fn note_caller(&self, row: i64) -> Result<(), StoreError> {
        let Some(peer_state) = self.peers.get(&row) else {
            return Ok(());
        };
        let peer = peer_state.contact.peer_id;
        let secrets = match (peer_state.contact.state, &peer_state.secrets) {
            (ContactState::Contact, Some(secrets)) => Some(secrets.clone()),
            (ContactState::Contact, None) => self.store.lookup_secrets(row)?,
            _ => None,
        };
        match secrets {
            Some(secrets) => {
                let (ours, theirs) = (secrets.ours, secrets.theirs);
                self.callers.know(&self.own_id, peer, ours, theirs);
            }
            None => self.callers.forget(&peer),
        }
        Ok(())
    }
}
