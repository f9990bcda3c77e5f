//! Reads the state of all contacts from the store.

use crate::effect::Effect;
use crate::state::State;
use crate::{contact_rows, conversation, meeting, suites};
use m2_core::sessions::SessionId;
use m2_store::StoreError;
use m2_wire::CloseCode;
use std::time::Duration;

/// Reads all contacts from the store. Established sessions are kept.
pub(crate) fn reload(engine: &mut State) -> Result<(), StoreError> {
    let contacts = engine.batch.store.contacts()?;
    engine.mail.load(&engine.batch.store)?;
    let over = std::mem::take(&mut engine.sessions.over);
    let is_over = |id: SessionId| over.contains(&id);
    // No step after this one may fail in a way that loses track of a session.
    let mut before = engine.peers.take();
    engine.conversations.timers.clear();
    let mut lost = Vec::new();
    for contact in contacts {
        let (row, before) = (contact.row, before.remove(&contact.peer_id));
        let peer_state = engine.peers.insert(contact);
        if before.is_some_and(|before| peer_state.inherit(before, &is_over)) {
            lost.push(row);
        }
    }
    for link in before.into_values().flat_map(|peer_state| peer_state.links) {
        let why = "its contact is not in the store any more";
        engine.batch.close_anyway(link.id, CloseCode::Done, why);
    }
    engine.sessions.strangers.retain(|id| !is_over(*id));
    engine.sessions.retain(&is_over);
    for row in lost {
        meeting::note_end(engine, row, Duration::ZERO);
    }
    contact_rows::note_priorities(engine)?;
    suites::require_stored(engine)?;
    // The wake-up of a batch that was rolled back is lost with it.
    engine.batch.effects.push_back(Effect::WakeLookup);
    conversation::wake_all(engine)
}
