//! Contacts as front-ends change them.

mod request;

pub use request::ContactRequest;
pub(crate) use request::handle;

use crate::contact_view::ContactView;
use crate::refusal::Refusal;
use crate::state::{Session, State};
use crate::{
    contact_rows, contact_view, dialling, erasing, invitation_text, lines, peer_requests, places,
    relations,
};
use m2_core::dial::use_of;
use m2_core::{ContactState, KnownAddress};
use m2_crypto::invitation::Invitation;
use m2_crypto::verification::VerificationCode;
use m2_crypto::{PeerId, Secret};
use m2_proto::reason::Reason;
use m2_store::{ContactRowId, EventKind, LookupSecrets};
use m2_wire::CloseCode;
use std::sync::Arc;

/// Asks an inviter to become a contact: stores the request and dials the inviter.
pub(crate) fn add(engine: &mut State, text: &str, name: &str) -> Result<ContactView, Refusal> {
    let invitation = invitation_text::parse_invitation(text)?;
    invitation_text::check_invitation(engine, &invitation)?;
    engine.batch.require_disk()?;
    let peer = *invitation.peer();
    let known = engine.peers.row_of(&peer);
    if !name.is_empty() {
        engine.peers.check_name(name, known)?;
    }
    let row = match known {
        Some(row) => row,
        None => relations::begin(engine, peer, ContactState::Removed, "")?,
    };
    relations::check_room(engine, row)?;
    engine.peers.name(row, name, "")?;
    let now = engine.batch.now_ms();
    let wanted = use_of(lines::ip_mode(engine, row));
    let addresses = lines::usable(engine, invitation.addresses().to_vec(), wanted);
    for named in addresses.into_iter().rev() {
        let named = KnownAddress::Named(named);
        engine.batch.store.put_address(row, named, now)?;
    }
    lines::keep_invited_lines(engine, row, &invitation)?;
    keep_record_key(engine, row, &invitation)?;
    if is_talking(engine, row) {
        return contact_view::view(engine, row);
    }
    let contact = engine.peers.contact_mut(row)?;
    // A contact is asked again too: it may have removed this identity and now invites it again.
    contact.invite_token = Some(invitation.token().clone());
    if contact.state != ContactState::Contact {
        contact.state = ContactState::Asked;
    }
    contact_rows::save(engine, row)?;
    peer_requests::ask_again(engine, row)?;
    dialling::dial(engine, row)?;
    contact_view::view(engine, row)
}

/// Returns whether a contact stated its places in the serving session, which shows that it also
/// takes the two for contacts.
fn is_talking(engine: &State, row: ContactRowId) -> bool {
    let talks = |link: Arc<Session>| {
        engine.sessions.places_in(link.id).is_some() && !engine.sessions.wants_successor(link.id)
    };
    engine.peers.is_contact(row) && engine.peers.serving(row).is_some_and(talks)
}

/// Stores the key of the invitation's records, under which the inviter is looked up until both have
/// agreed.
fn keep_record_key(
    engine: &mut State,
    row: ContactRowId,
    invitation: &Invitation,
) -> Result<(), Refusal> {
    if engine.peers.is_contact(row) {
        return Ok(());
    }
    let secrets = LookupSecrets {
        ours: Secret::random(&mut engine.batch.rng),
        theirs: Secret::new(*invitation.record_key()),
    };
    engine.batch.store.set_lookup_secrets(row, &secrets)?;
    if let Some(peer_state) = engine.peers.get_mut(&row) {
        peer_state.secrets = Some(secrets);
    }
    engine.batch.wake_lookup();
    Ok(())
}

/// Renames a contact.
pub(crate) fn rename(engine: &mut State, name: &str, new: &str) -> Result<ContactView, Refusal> {
    let row = engine.peers.resolve(name)?;
    engine.peers.check_name(new, Some(row))?;
    engine.peers.contact_mut(row)?.name = new.to_owned();
    contact_rows::save(engine, row)?;
    contact_view::view(engine, row)
}

/// Accepts a request.
pub(crate) fn accept(engine: &mut State, name: &str, new: &str) -> Result<ContactView, Refusal> {
    let row = engine.peers.resolve_request(name)?;
    let suggested = engine.peers.contact_mut(row)?.suggested_name.clone();
    engine.peers.name(row, new, &suggested)?;
    let contact = engine.peers.contact_mut(row)?;
    contact.state = ContactState::Contact;
    contact.reply_due = true;
    contact_rows::save(engine, row)?;
    engine.batch.event(EventKind::ContactAdded, row, None, 0)?;
    engine.batch.changed.relays = true;
    places::begin_again(engine, row)?;
    peer_requests::answer(engine, row)?;
    dialling::dial(engine, row)?;
    contact_view::view(engine, row)
}

/// Declines a request: tells the peer, and marks its row as removed.
pub(crate) fn decline(engine: &mut State, name: &str) -> Result<(), Refusal> {
    let row = engine.peers.resolve_request(name)?;
    peer_requests::decline(engine, row);
    relations::end(engine, row, ContactState::Removed)
}

/// Blocks a peer, known or not.
pub(crate) fn block(engine: &mut State, name: &str) -> Result<(), Refusal> {
    let row = match (engine.peers.resolve(name), name.parse::<PeerId>()) {
        (Ok(row), _) => row,
        (Err(_), Ok(peer)) if peer == engine.batch.own_id => {
            return Err(Refusal::argument(
                "contact",
                "",
                "This is your own peer id. Name the peer to block.",
            ));
        }
        (Err(_), Ok(peer)) => match engine.peers.row_of(&peer) {
            Some(row) => row,
            None => relations::begin(engine, peer, ContactState::Removed, "")?,
        },
        (Err(refusal), Err(_)) => return Err(refusal),
    };
    let was_contact = engine.peers.is_contact(row);
    relations::end(engine, row, ContactState::Blocked)?;
    close_links(engine, row, CloseCode::Refused);
    if was_contact {
        engine
            .batch
            .event(EventKind::ContactRemoved, row, None, 0)?;
    }
    Ok(())
}

/// Removes a contact with its outbox, and erases its messages if `history` is set.
pub(crate) fn remove(engine: &mut State, name: &str, history: bool) -> Result<(), Refusal> {
    let row = engine.peers.resolve(name)?;
    if history {
        erasing::begin_erasure(engine, row, true)?;
    }
    relations::end(engine, row, ContactState::Removed)?;
    close_links(engine, row, CloseCode::NotAContact);
    engine
        .batch
        .event(EventKind::ContactRemoved, row, None, 0)?;
    Ok(())
}

/// Returns the verification code, and whether the user confirmed it. `matched` sets the
/// confirmation.
pub(crate) fn verify(
    engine: &mut State,
    name: &str,
    matched: Option<bool>,
) -> Result<(String, bool), Refusal> {
    let row = engine.peers.resolve(name)?;
    if !engine.peers.is_contact(row) {
        return Err(Refusal::new(Reason::NotAContact));
    }
    let peer_state = engine.peers.get_mut(&row).ok_or_else(unknown)?;
    let certificate = peer_state.certificate()?;
    if let Some(matched) = matched {
        peer_state.contact.verified = matched;
        engine.batch.store.update_contact(&peer_state.contact)?;
    }
    let verified = peer_state.contact.verified;
    let own = engine.batch.identity.certificate();
    let code = VerificationCode::of(engine.batch.circle.id(), own, &certificate);
    Ok((code.to_string(), verified))
}

fn close_links(engine: &mut State, row: ContactRowId, code: CloseCode) {
    for link in engine.peers.links(row) {
        engine
            .batch
            .close(link.id, code, "the contact was blocked or removed");
    }
}

fn unknown() -> Refusal {
    Refusal::new(Reason::ContactUnknown)
}
