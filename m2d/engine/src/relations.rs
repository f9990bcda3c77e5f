//! Creates and ends relations with peers: the rows of contacts.

use crate::refusal::Refusal;
use crate::state::{PeerState, State};
use crate::{contact_rows, erasing, lines, mailboxes, meeting};
use m2_core::ContactState;
use m2_core::dial::Order;
use m2_crypto::PeerId;
use m2_store::{ContactRow, ContactRowId};

/// The most contacts, requests and blocked peers together. Removed contacts are not counted, as
/// their rows are pruned.
const MAX_CONTACTS: usize = 10_000;
/// Characters of the peer id that form the default name.
const NAME_FROM_ID: usize = 12;

/// Creates a row for a new peer.
pub(crate) fn begin(
    engine: &mut State,
    peer: PeerId,
    state: ContactState,
    suggested: &str,
) -> Result<ContactRowId, Refusal> {
    if engine.peers.living() >= MAX_CONTACTS {
        return Err(Refusal::limit(
            "contacts",
            MAX_CONTACTS,
            "contacts",
            "Remove some of them first.",
        ));
    }
    let now = engine.batch.now_ms();
    let mut contact = ContactRow::new(peer, state, now);
    contact.name = name_from_id(&peer);
    suggested.clone_into(&mut contact.suggested_name);
    contact.row = engine.batch.store.insert_contact(&contact)?;
    let row = contact.row;
    engine.peers.insert(contact);
    meeting::adopt_stranger(engine, row, &peer)?;
    Ok(row)
}

/// Checks the limit for a removed contact that is added again, as it counts again.
pub(crate) fn check_room(engine: &State, row: ContactRowId) -> Result<(), Refusal> {
    let is_removed = |peer_state: &PeerState| peer_state.contact.state == ContactState::Removed;
    if engine.peers.get(&row).is_some_and(is_removed) && engine.peers.living() >= MAX_CONTACTS {
        return Err(Refusal::limit(
            "contacts",
            MAX_CONTACTS,
            "contacts",
            "Remove some of them first.",
        ));
    }
    Ok(())
}

/// Ends the relation with a contact: discards its outbox, the grants of its boxes and its lines, stops
/// dialling it, and stores its new state.
pub(crate) fn end(
    engine: &mut State,
    row: ContactRowId,
    state: ContactState,
) -> Result<(), Refusal> {
    erasing::begin_erasure(engine, row, false)?;
    let now = engine.batch.now_ms();
    mailboxes::end_with(engine, row)?;
    lines::end_with(engine, row)?;
    let contact = engine.peers.contact_mut(row)?;
    contact.state = state;
    contact.invite_token = None;
    contact.reply_due = false;
    if state == ContactState::Removed {
        contact.verified = false;
        contact.ip = None;
        contact.removed_ms = now;
    }
    contact_rows::save(engine, row)?;
    let peer = engine.peers.contact_mut(row)?.peer_id;
    engine.batch.order(peer, Order::Rest);
    Ok(())
}

fn name_from_id(peer: &PeerId) -> String {
    peer.to_string().chars().take(NAME_FROM_ID).collect()
}
