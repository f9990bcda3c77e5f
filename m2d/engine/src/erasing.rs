//! Deletes the data of removed contacts in steps, so that other inputs are not delayed.

use crate::refusal::Refusal;
use crate::state::State;
use crate::{conversation, places};
use m2_delivery::GiveUp;
use m2_store::{ContactRowId, Erasure};

/// Messages given up or erased in one step: some milliseconds.
pub(super) const ERASE_STEP: u32 = 32;

/// Begins to give up all messages queued for a contact and, with `history`, to erase its
/// messages. The first step runs at once.
pub(crate) fn begin_erasure(
    engine: &mut State,
    row: ContactRowId,
    history: bool,
) -> Result<(), Refusal> {
    engine.batch.store.begin_erasure(row, history)?;
    if history {
        let peer = engine.peers.contact_mut(row)?.peer_id;
        engine.batch.store.forget_token_uses(&peer)?;
        // Readers do not show the messages any more.
        engine.maintenance.note_content_changed();
    }
    if let Some(erasure) = engine.batch.store.erasure_of(row)? {
        erase(engine, erasure)?;
    }
    let now = engine.batch.now_ms();
    engine.maintenance.note_erasure(now);
    Ok(())
}

/// Runs the next step of any erasure. Returns whether more may remain.
pub(crate) fn erase_next(engine: &mut State) -> Result<bool, Refusal> {
    let Some(erasure) = engine.batch.store.next_erasure()? else {
        return Ok(false);
    };
    erase(engine, erasure)?;
    Ok(true)
}

/// Runs one step. Queued messages are given up first, as their content may be read from the
/// messages that are erased afterwards.
fn erase(engine: &mut State, erasure: Erasure) -> Result<(), Refusal> {
    let row = erasure.contact;
    if erasure.is_giving_up() {
        for id in engine.batch.store.next_to_give_up(&erasure, ERASE_STEP)? {
            conversation::feed(engine, row, |conversation, cx| {
                conversation.give_up(cx, id, GiveUp::ContactRemoved);
            })?;
        }
        if conversation::is_giving_up(engine, row)? {
            return Ok(());
        }
        // A contact that was removed and added again could not begin its conversation before
        // this.
        let link = engine.peers.serving(row);
        if let Some(link) = link.filter(|_| engine.peers.is_contact(row)) {
            places::begin_talk(engine, row, &link)?;
        }
    }
    if engine.batch.store.erase_history(&erasure, ERASE_STEP)? < ERASE_STEP {
        engine.batch.store.end_erasure(row)?;
        let now = engine.batch.now_ms();
        engine.maintenance.note_freed(now);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
