//! Keeps the list of contacts whose dials are accepted before those of strangers.

use super::effect::Step;
use super::{Effect, Engine};
use m2_core::ContactState;
use m2_store::StoreError;

impl Engine {
    /// Adds the peer to the list or removes it once the batch is on disk, depending on the state of
    /// its row.
    pub(super) fn note_priority(&mut self, row: i64) -> Result<(), StoreError> {
        let effect = self.priority(row)?;
        self.steps.extend(effect.map(Step::from));
        Ok(())
    }

    /// Makes the list agree with the stored contacts at once.
    pub(super) fn note_priorities(&mut self) -> Result<(), StoreError> {
        let rows: Vec<i64> = self.peers.keys().copied().collect();
        for row in rows {
            let effect = self.priority(row)?;
            self.effects.extend(effect);
        }
        Ok(())
    }

    fn priority(&self, row: i64) -> Result<Option<Effect>, StoreError> {
        let Some(peer_state) = self.peers.get(&row) else {
            return Ok(None);
        };
        let peer = peer_state.contact.peer_id;
        let secrets = match (peer_state.contact.state, &peer_state.secrets) {
            (ContactState::Contact, Some(secrets)) => Some(secrets.clone()),
            (ContactState::Contact, None) => self.store.lookup_secrets(row)?,
            _ => None,
        };
        Ok(Some(Effect::Prioritise(peer, secrets)))
    }
}
