//! The start of a conversation in a session: both sides state their places
//! (`docs/spec/delivery.md#places`).

use crate::refusal::Refusal;
use crate::state::{Renewal, Session, State};
use crate::{contact_boxes, conversation, greeting, letter_secrets, lines, mailboxes, paths};
use m2_store::ContactRowId;
use m2_wire::{Message, Places};
use std::sync::Arc;

/// Begins the conversation in a session, once it is established or the two became contacts in
/// it: both sides state their places first. For a contact that was removed and added again,
/// this waits until all messages queued before the removal are given up.
pub(crate) fn begin_talk(
    engine: &mut State,
    row: ContactRowId,
    link: &Arc<Session>,
) -> Result<(), Refusal> {
    if conversation::is_giving_up(engine, row)? {
        return Ok(());
    }
    letter_secrets::keep(engine, row, link)?;
    engine.sessions.sent_once.push(link.id);
    if !engine.peers.serves(row, link) {
        let places = conversation::feed(engine, row, |conversation, cx| {
            conversation.state_on_other_session(cx)
        })?;
        engine.sessions.note_begun(link.id);
        engine
            .batch
            .push_frame(link.id, Message::Places(Box::new(places)));
        return Ok(());
    }
    let (path, stated) = (link.path, engine.sessions.places_in(link.id));
    conversation::feed(engine, row, |conversation, cx| {
        conversation.connected(cx, path);
        // The statement may have arrived while older messages were being given up.
        if let Some(stated) = &stated {
            conversation.on_places_again(cx, stated);
        }
    })?;
    engine.sessions.note_begun(link.id);
    greeting::greet(engine, row, link)?;
    lines::offer(engine, row)?;
    paths::seek_direct(engine, row, link);
    Ok(())
}

/// Begins the conversation with a new contact in `link`, and in the serving session if that is
/// another.
pub(crate) fn begin_talk_again(
    engine: &mut State,
    row: ContactRowId,
    link: &Arc<Session>,
) -> Result<(), Refusal> {
    begin_talk(engine, row, link)?;
    let serving = engine.peers.serving(row);
    match serving.filter(|serving| serving.id != link.id) {
        Some(serving) => begin_talk(engine, row, &serving),
        None => Ok(()),
    }
}

/// Restarts the conversation after the two agreed to be contacts, perhaps again. State of an
/// earlier time does not count.
pub(crate) fn begin_again(engine: &mut State, row: ContactRowId) -> Result<(), Refusal> {
    let peer_state = engine.peers.get(&row).into_iter();
    for link in peer_state.flat_map(|peer_state| &peer_state.links) {
        if let Some(progress) = engine.sessions.progress_mut(link.id) {
            progress.places = None;
            progress.greeted = false;
            // The peer may have dropped what was stated before.
            progress.stated = 0;
        }
    }
    contact_boxes::forget(engine, row)?;
    conversation::feed(engine, row, |conversation, cx| conversation.begin_again(cx))
}

/// Handles a contact's statement of its places.
pub(crate) fn on_places(
    engine: &mut State,
    row: ContactRowId,
    link: &Arc<Session>,
    stated: &Places,
) -> Result<(), Refusal> {
    let Some(progress) = engine.sessions.progress_mut(link.id) else {
        return Ok(());
    };
    if !progress.takes_statement() {
        engine.batch.violation(link.id, "PLACES_REPEATED");
        return Ok(());
    }
    progress.places = Some(Arc::new(stated.clone()));
    engine.sessions.sent_once.push(link.id);
    let Some(peer_state) = engine.peers.get_mut(&row) else {
        return Ok(());
    };
    // A statement that arrives late on an older session is older than one of a newer session.
    if link.id.0 < peer_state.placed_by {
        return Ok(());
    }
    peer_state.placed_by = link.id.0;
    conversation::feed(engine, row, |conversation, cx| {
        conversation.on_places(cx, stated)
    })
}

/// Takes new incarnations of conversations, and new keys of the boxes.
pub(crate) fn renew_all(engine: &mut State, renewal: Renewal) -> Result<(), Refusal> {
    mailboxes::rekey_all(engine)?;
    contact_boxes::ask_for_all_tokens(engine)?;
    let exception = renewal.exception();
    engine.flush()?;
    engine.batch.store.end_incarnations(exception)?;
    let loaded = engine
        .peers
        .values()
        .filter(|peer_state| peer_state.conversation.is_some());
    let rows: Vec<ContactRowId> = loaded.map(|peer_state| peer_state.contact.row).collect();
    for row in rows.into_iter().filter(|row| Some(*row) != exception) {
        conversation::feed(engine, row, |conversation, cx| conversation.renew(cx))?;
    }
    Ok(())
}
