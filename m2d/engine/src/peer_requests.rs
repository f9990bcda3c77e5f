//! Contact requests and their answers (`docs/spec/contact.md`).

use crate::refusal::Refusal;
use crate::state::{PeerState, Session, State};
use crate::{contact_rows, invitations, meeting, places, relations};
use m2_core::contact_name;
use m2_core::dial::Order;
use m2_core::requests::{self, OnReply, OnRequest, Origin};
use m2_core::{ContactState, KnownAddress};
use m2_crypto::invitation::{self, InviteId};
use m2_delivery::Path;
use m2_limits::prefix::Prefix;
use m2_limits::shares::Claim;
use m2_store::{ContactRowId, EventKind, InvitationRow, LookupSecrets};
use m2_wire::{ContactRequest, InviteProof, Message};
use std::sync::Arc;

/// Placeholder for a peer without a row. Real rows count from 1.
const NO_ROW: ContactRowId = ContactRowId::new(0);
/// The interval of the search for expired requests, in milliseconds.
const EXPIRE_EVERY_MS: u64 = 3_600_000;

/// Sends this daemon's request again on an established session, if it still waits for an
/// answer. Returns whether a request was sent.
pub(crate) fn ask_again(engine: &mut State, row: ContactRowId) -> Result<bool, Refusal> {
    let Some(peer_state) = engine.peers.get(&row) else {
        return Ok(false);
    };
    let contact = &peer_state.contact;
    let again = contact.state == ContactState::Contact && contact.invite_token.is_some();
    if contact.state != ContactState::Asked && !again {
        return Ok(false);
    }
    let Some(link) = peer_state.link().cloned() else {
        return Ok(false);
    };
    let invite = peer_state
        .contact
        .invite_token
        .as_ref()
        .map(|token| InviteProof {
            invite_id: *InviteId::of(token).as_bytes(),
            proof: invitation::proof(token, &link.proof_key),
        });
    engine.batch.push_frame(
        link.id,
        Message::ContactRequest(ContactRequest {
            invite,
            name: String::new(),
        }),
    );
    Ok(true)
}

/// Handles a peer's request to become a contact.
pub(crate) fn on_request(
    engine: &mut State,
    row: ContactRowId,
    link: &Arc<Session>,
    request: &ContactRequest,
) -> Result<(), Refusal> {
    if engine.sessions.asks(link.id) {
        engine.batch.misdeed(link.id, "REQUEST_REPEATED");
    }
    let state = engine.peers.contact_mut(row)?.state;
    if state == ContactState::Blocked {
        engine.batch.misdeed(link.id, "BLOCKED");
        return Ok(());
    }
    let has_agreed = has_agreed(engine, row, link);
    let invited_as = check_proof(engine, link, request.invite)?;
    let (names, begins_again) = match requests::on_request(state, invited_as.is_some(), has_agreed)
    {
        OnRequest::Agree {
            names,
            begins_again,
        } => (names, begins_again),
        OnRequest::Keep => return keep_request(engine, row, link, request),
        OnRequest::Waits | OnRequest::Refuse => return Ok(()),
    };
    if let Some(name) = invited_as.filter(|_| names) {
        // A name that was taken in the meantime is no reason to refuse the peer.
        if engine.peers.name(row, &name, &request.name).is_err() {
            engine.peers.name(row, "", &request.name)?;
        }
    }
    become_contact(engine, row, link)?;
    if begins_again {
        places::begin_again(engine, row)?;
    }
    engine.peers.contact_mut(row)?.reply_due = true;
    answer(engine, row).map(|_| ())
}

/// Returns the name to give to a peer that proves an open invitation; `None` without a valid
/// proof.
fn check_proof(
    engine: &mut State,
    link: &Arc<Session>,
    shown: Option<InviteProof>,
) -> Result<Option<String>, Refusal> {
    let known = engine
        .peers
        .row_of(&link.peer_id)
        .is_some_and(|contact| engine.peers.is_contact(contact));
    let Some(invitation) = proven_invitation(engine, link, shown)? else {
        // A contact that asks again shows the invitation that it used when it became a contact.
        if shown.is_some() && !known {
            engine.batch.misdeed(link.id, "INVITATION_REFUSED");
        }
        return Ok(None);
    };
    if !known {
        engine.batch.store.use_invitation(&invitation.id)?;
    }
    Ok(Some(invitation.contact_name))
}

/// Returns the open invitation whose token a peer proves to hold in this session. Does not
/// count a use.
fn proven_invitation(
    engine: &State,
    link: &Session,
    shown: Option<InviteProof>,
) -> Result<Option<InvitationRow>, Refusal> {
    match shown {
        Some(shown) => invitations::invitation_shown(engine, &link.proof_key, shown),
        None => Ok(None),
    }
}

/// Stores a request and shows it to the user, once.
fn keep_request(
    engine: &mut State,
    row: ContactRowId,
    link: &Arc<Session>,
    request: &ContactRequest,
) -> Result<(), Refusal> {
    let origin = origin_of(engine, link, request)?;
    match place_for_request(engine, row, origin)? {
        Claim::Granted => {}
        Claim::TakeFrom(other) => {
            engine.batch.counters.count("REQUEST_REPLACED");
            forget(engine, other)?;
        }
        Claim::Refused => {
            engine.batch.misdeed(link.id, "REQUESTS_TOO_MANY");
            return Ok(());
        }
    }
    let contact = engine.peers.contact_mut(row)?;
    contact.state = ContactState::Request;
    // A name that a stranger chose is shown to the user. An unfit one is dropped entirely.
    contact.suggested_name = contact_name::visible(&request.name);
    if !contact_name::is_fit(&contact.suggested_name) {
        contact.suggested_name.clear();
    }
    contact_rows::save(engine, row)?;
    let now = engine.batch.now_ms();
    engine.batch.store.put_request(row, origin, now)?;
    engine
        .batch
        .event(EventKind::ContactRequest, row, None, 0)?;
    Ok(())
}

/// Returns whether a stranger's request would be kept, or makes it a contact at once.
fn may_ask(engine: &State, link: &Session, request: &ContactRequest) -> Result<bool, Refusal> {
    if proven_invitation(engine, link, request.invite)?.is_some() {
        return Ok(true);
    }
    let origin = origin_of(engine, link, request)?;
    Ok(place_for_request(engine, NO_ROW, origin)? != Claim::Refused)
}

fn origin_of(engine: &State, link: &Session, request: &ContactRequest) -> Result<Origin, Refusal> {
    let known = match request.invite {
        Some(shown) => invitations::known_invitation(engine, &link.proof_key, shown)?,
        None => None,
    };
    Ok(match known {
        Some(invitation) => Origin::Invitation(invitation.id),
        None => Origin::Prefix(Prefix::of(link.remote.ip())),
    })
}

/// Finds a place for a request among those that wait for the user.
fn place_for_request(
    engine: &State,
    row: ContactRowId,
    origin: Origin,
) -> Result<Claim<ContactRowId>, Refusal> {
    let requests = engine.batch.store.requests()?.into_iter();
    let waiting = requests.map(|request| (request.contact, request.origin));
    let waiting: Vec<_> = waiting.filter(|(row, _)| waits(engine, *row)).collect();
    Ok(requests::place(&waiting, row, origin))
}

/// Deletes requests that the user did not answer in time. Returns when to look again.
pub(crate) fn expire(engine: &mut State, now: u64) -> Result<u64, Refusal> {
    for request in engine.batch.store.requests()? {
        if !waits(engine, request.contact) {
            engine.batch.store.delete_request(request.contact)?;
        } else if requests::has_expired(request.asked_ms, now) {
            engine.batch.counters.count("REQUEST_EXPIRED");
            forget(engine, request.contact)?;
        }
    }
    Ok(now.saturating_add(EXPIRE_EVERY_MS))
}

fn waits(engine: &State, row: ContactRowId) -> bool {
    let peer_state = engine.peers.get(&row);
    peer_state.is_some_and(|peer_state| peer_state.contact.state == ContactState::Request)
}

/// Deletes a request without telling the peer, which may ask again.
fn forget(engine: &mut State, row: ContactRowId) -> Result<(), Refusal> {
    engine.batch.store.delete_request(row)?;
    relations::end(engine, row, ContactState::Removed)?;
    engine
        .batch
        .event(EventKind::ContactRemoved, row, None, 0)?;
    Ok(())
}

/// Handles the peer's answer to this daemon's request.
pub(crate) fn on_reply(
    engine: &mut State,
    row: ContactRowId,
    link: &Arc<Session>,
    accepted: bool,
) -> Result<(), Refusal> {
    let contact = engine.peers.contact_mut(row)?;
    let (state, asks_again) = (contact.state, contact.invite_token.is_some());
    let has_agreed = has_agreed(engine, row, link);
    match requests::on_reply(state, accepted, has_agreed, asks_again) {
        OnReply::Repeated => engine.batch.counters.count("REPLY_REPEATED"),
        OnReply::Agreed => {
            become_contact(engine, row, link)?;
            places::begin_again(engine, row)?;
            places::begin_talk_again(engine, row, link)?;
        }
        OnReply::Declined => {
            let contact = engine.peers.contact_mut(row)?;
            contact.state = ContactState::Declined;
            contact.invite_token = None;
            let peer = contact.peer_id;
            contact_rows::save(engine, row)?;
            engine.batch.order(peer, Order::Rest);
            engine
                .batch
                .event(EventKind::ContactDeclined, row, None, 0)?;
        }
        OnReply::AskedInVain => {
            engine.peers.contact_mut(row)?.invite_token = None;
            contact_rows::save(engine, row)?;
        }
        OnReply::Unasked => engine.batch.misdeed(link.id, "REPLY_UNASKED"),
    }
    Ok(())
}

/// Returns whether both agreed in this session, and nothing was asked since.
fn has_agreed(engine: &State, row: ContactRowId, link: &Session) -> bool {
    engine.peers.get(&row).is_some_and(|peer_state| {
        peer_state.agreed_in == Some(link.id.0) && peer_state.contact.invite_token.is_none()
    })
}

/// Makes a peer a contact, with the pairwise look-up secrets of the session in which both
/// agreed.
fn become_contact(engine: &mut State, row: ContactRowId, link: &Session) -> Result<(), Refusal> {
    let (ours, theirs) = link.lookup_secrets.clone();
    let secrets = LookupSecrets { ours, theirs };
    engine.batch.store.set_lookup_secrets(row, &secrets)?;
    if let Some(peer_state) = engine.peers.get_mut(&row) {
        peer_state.secrets = Some(secrets);
        peer_state.agreed_in = Some(link.id.0);
    }
    if let Some(peer_state) = engine.peers.get_mut(&row) {
        peer_state.refused = None;
    }
    let contact = engine.peers.contact_mut(row)?;
    let fresh = contact.state != ContactState::Contact;
    contact.state = ContactState::Contact;
    contact.invite_token = None;
    contact_rows::save(engine, row)?;
    if fresh {
        if link.path == Path::Direct {
            let now = engine.batch.now_ms();
            let reached = KnownAddress::Proved(link.remote);
            engine.batch.store.put_address(row, reached, now)?;
        }
        engine.batch.event(EventKind::ContactAdded, row, None, 0)?;
        engine.batch.changed.relays = true;
    }
    Ok(())
}

/// Notifies a peer that its request was accepted, now or in its next session. Returns whether
/// it was sent.
pub(crate) fn answer(engine: &mut State, row: ContactRowId) -> Result<bool, Refusal> {
    let Some(peer_state) = engine.peers.get_mut(&row) else {
        return Ok(false);
    };
    let Some(link) = peer_state.link().cloned() else {
        contact_rows::save(engine, row)?;
        return Ok(false);
    };
    if !peer_state.contact.reply_due || peer_state.contact.state != ContactState::Contact {
        return Ok(false);
    }
    peer_state.contact.reply_due = false;
    become_contact(engine, row, &link)?;
    engine
        .batch
        .push_frame(link.id, Message::ContactReply { accepted: true });
    // Not earlier: a peer that does not know yet that it is a contact takes no offer.
    places::begin_talk(engine, row, &link)?;
    Ok(true)
}

/// Notifies a peer that its request was declined, if a session is up.
pub(crate) fn decline(engine: &mut State, row: ContactRowId) {
    if let Some(link) = engine.peers.serving(row) {
        engine
            .batch
            .push_frame(link.id, Message::ContactReply { accepted: false });
    }
}

/// Returns the row of a session's peer. A stranger that sends a request gets one, unless the
/// request would be dropped: the state that strangers can create is bounded.
pub(crate) fn row_for_request(
    engine: &mut State,
    link: &Arc<Session>,
    request: &ContactRequest,
) -> Result<Option<ContactRowId>, Refusal> {
    if let Some(row) = engine.peers.row_of(&link.peer_id) {
        return Ok(Some(row));
    }
    if !may_ask(engine, link, request)? {
        return Ok(None);
    }
    let row = relations::begin(engine, link.peer_id, ContactState::Removed, "")?;
    // The session may have lost its place among the strangers in the meantime.
    let has_met = |peer_state: &PeerState| peer_state.links.iter().any(|it| it.id == link.id);
    if !engine.peers.get(&row).is_some_and(has_met) {
        meeting::meet(engine, row, link)?;
    }
    Ok(Some(row))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{engine, pass_ms};
    use crate::{Engine, relations};
    use m2_core::requests::{MAX_REQUESTS, REQUEST_MS};
    use m2_crypto::PeerId;
    use std::net::IpAddr;

    fn from(number: u8) -> Origin {
        Origin::Prefix(Prefix::of(IpAddr::from([127, 0, number, 1])))
    }

    /// Stores a request of a new peer. Returns its row if the request is kept.
    fn ask(engine: &mut Engine, number: u16, origin: Origin) -> Option<ContactRowId> {
        let mut id = [0; 32];
        id[..2].copy_from_slice(&number.to_be_bytes());
        match place_for_request(&engine.state, NO_ROW, origin).unwrap() {
            Claim::Granted => {}
            Claim::TakeFrom(other) => forget(&mut engine.state, other).unwrap(),
            Claim::Refused => return None,
        }
        let peer = PeerId::from_bytes(id);
        let row = relations::begin(&mut engine.state, peer, ContactState::Request, "").unwrap();
        let now = engine.state.batch.now_ms();
        engine
            .state
            .batch
            .store
            .put_request(row, origin, now)
            .unwrap();
        Some(row)
    }

    #[test]
    fn requests_of_one_prefix_leave_room_for_others() {
        let (_dir, mut engine) = engine();
        let mut greedy = Vec::new();
        for number in 0..100 {
            greedy.extend(ask(&mut engine, number, from(1)));
            pass_ms(&mut engine, 1);
        }
        assert_eq!(greedy.len(), 75, "a quarter is left to others");
        for number in 100..125 {
            assert!(ask(&mut engine, number, from(2)).is_some());
        }
        assert!(
            ask(&mut engine, 200, from(1)).is_none(),
            "it makes no room for itself"
        );
        let honest = ask(&mut engine, 201, from(3)).unwrap();
        assert!(
            !waits(&engine.state, greedy[0]),
            "the oldest of the largest source"
        );
        assert!(waits(&engine.state, greedy[1]) && waits(&engine.state, honest));
        assert_eq!(
            engine.state.batch.store.requests().unwrap().len(),
            MAX_REQUESTS
        );
    }

    #[test]
    fn strangers_do_not_displace_invited_peers() {
        let (_dir, mut engine) = engine();
        let invited = ask(&mut engine, 0, Origin::Invitation([1; 16])).unwrap();
        for number in 1..1_000 {
            ask(&mut engine, number, from((number % 250) as u8));
        }
        assert!(waits(&engine.state, invited));
        assert_eq!(
            engine.state.batch.store.requests().unwrap().len(),
            MAX_REQUESTS + 1
        );
    }

    #[test]
    fn an_unanswered_request_expires() {
        let (_dir, mut engine) = engine();
        let row = ask(&mut engine, 1, from(1)).unwrap();
        let now = engine.state.batch.now_ms();
        expire(&mut engine.state, now + REQUEST_MS - 1).unwrap();
        assert!(waits(&engine.state, row));
        expire(&mut engine.state, now + REQUEST_MS).unwrap();
        assert!(!waits(&engine.state, row));
        assert!(engine.state.batch.store.requests().unwrap().is_empty());
    }
}
