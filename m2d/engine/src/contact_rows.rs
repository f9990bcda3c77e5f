//! Stores contacts, and keeps the list of those whose dials are accepted before those of strangers.

use crate::effect::{Effect, Step};
use crate::refusal::Refusal;
use crate::state::{State, unknown};
use m2_core::ContactState;
use m2_store::{ContactRowId, StoreError};

/// Stores the row of a contact that was changed in memory.
///
/// Errors: CONTACT_UNKNOWN, or the store's.
pub(crate) fn save(engine: &mut State, row: ContactRowId) -> Result<(), Refusal> {
    let peer_state = engine.peers.get(&row).ok_or_else(unknown)?;
    engine.batch.store.update_contact(&peer_state.contact)?;
    note_priority(engine, row)?;
    Ok(())
}

/// Adds the peer to the list or removes it once the batch is on disk, depending on the state of
/// its row.
fn note_priority(engine: &mut State, row: ContactRowId) -> Result<(), StoreError> {
    let effect = priority(engine, row)?;
    engine.batch.steps.extend(effect.map(Step::from));
    Ok(())
}

/// Makes the list agree with the stored contacts at once.
pub(crate) fn note_priorities(engine: &mut State) -> Result<(), StoreError> {
    let rows: Vec<ContactRowId> = engine.peers.rows();
    for row in rows {
        let effect = priority(engine, row)?;
        engine.batch.effects.extend(effect);
    }
    Ok(())
}

fn priority(engine: &State, row: ContactRowId) -> Result<Option<Effect>, StoreError> {
    let Some(peer_state) = engine.peers.get(&row) else {
        return Ok(None);
    };
    let peer = peer_state.contact.peer_id;
    let secrets = match (peer_state.contact.state, &peer_state.secrets) {
        (ContactState::Contact, Some(secrets)) => Some(secrets.clone()),
        (ContactState::Contact, None) => engine.batch.store.lookup_secrets(row)?,
        _ => None,
    };
    Ok(Some(Effect::Prioritise(peer, secrets)))
}
