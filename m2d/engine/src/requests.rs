//! Contact requests and their answers (`docs/spec/contact.md`).

use super::Engine;
use crate::refusal::Refusal;
use crate::session::Session;
use m2_core::contact_name;
use m2_core::dial::Order;
use m2_core::requests::{self, OnReply, OnRequest, Origin};
use m2_core::sessions::SessionId;
use m2_core::{ContactState, KnownAddress};
use m2_crypto::Secret;
use m2_crypto::invitation::{self, InviteId};
use m2_delivery::Path;
use m2_limits::prefix::Prefix;
use m2_limits::shares::Claim;
use m2_store::{EventKind, InvitationRow, LookupSecrets};
use m2_wire::{ContactRequest, InviteProof, Message};
use std::sync::Arc;

/// Placeholder for a peer without a row. Real rows count from 1.
const NO_ROW: i64 = 0;
/// The interval of the search for expired requests, in milliseconds.
const EXPIRE_EVERY_MS: u64 = 3_600_000;

impl Engine {
    /// Sends this daemon's request again on an established session, if it still waits for an
    /// answer. Returns whether a request was sent.
    pub(super) fn ask_again(&mut self, row: i64) -> Result<bool, Refusal> {
        let Some(peer_state) = self.peers.get(&row) else {
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
        self.push_frame(
            link.id,
            Message::ContactRequest(ContactRequest {
                invite,
                name: String::new(),
            }),
        );
        Ok(true)
    }

    /// Handles a peer's request to become a contact.
    pub(super) fn on_contact_request(
        &mut self,
        row: i64,
        link: &Arc<Session>,
        request: &ContactRequest,
    ) -> Result<(), Refusal> {
        if self.asks(link.id) {
            self.misdeed(link.id, "REQUEST_REPEATED");
        }
        let state = self.contact_mut(row)?.state;
        if state == ContactState::Blocked {
            self.misdeed(link.id, "BLOCKED");
            return Ok(());
        }
        let has_agreed = self.has_agreed(row, link);
        let invited_as = self.check_proof(link, request.invite)?;
        let (names, begins_again) =
            match requests::on_request(state, invited_as.is_some(), has_agreed) {
                OnRequest::Agree {
                    names,
                    begins_again,
                } => (names, begins_again),
                OnRequest::Keep => return self.keep_request(row, link, request),
                OnRequest::Waits | OnRequest::Refuse => return Ok(()),
            };
        if let Some(name) = invited_as.filter(|_| names) {
            // A name that was taken in the meantime is no reason to refuse the peer.
            if self.name_contact(row, &name, &request.name).is_err() {
                self.name_contact(row, "", &request.name)?;
            }
        }
        self.become_contact(row, link)?;
        if begins_again {
            self.begin_again(row)?;
        }
        self.contact_mut(row)?.reply_due = true;
        self.answer_request(row).map(|_| ())
    }

    /// Returns the name to give to a peer that proves an open invitation; `None` without a valid
    /// proof.
    fn check_proof(
        &mut self,
        link: &Arc<Session>,
        shown: Option<InviteProof>,
    ) -> Result<Option<String>, Refusal> {
        let known = self
            .row_of(&link.peer_id)
            .is_some_and(|contact| self.is_contact(contact));
        let Some(invitation) = self.proven_invitation(link, shown)? else {
            // A contact that asks again shows the invitation that it used when it became a contact.
            if shown.is_some() && !known {
                self.misdeed(link.id, "INVITATION_REFUSED");
            }
            return Ok(None);
        };
        if !known {
            self.store.use_invitation(&invitation.id)?;
        }
        Ok(Some(invitation.contact_name))
    }

    /// Returns the open invitation whose token a peer proves to hold in this session. Does not
    /// count a use.
    fn proven_invitation(
        &self,
        link: &Session,
        shown: Option<InviteProof>,
    ) -> Result<Option<InvitationRow>, Refusal> {
        match shown {
            Some(shown) => self.invitation_shown(&link.proof_key, shown),
            None => Ok(None),
        }
    }

    /// Returns the open invitation that a proof shows, for a session known by its proof key alone.
    pub(super) fn invitation_shown(
        &self,
        proof_key: &Secret<32>,
        shown: InviteProof,
    ) -> Result<Option<InvitationRow>, Refusal> {
        let known = self.known_invitation(proof_key, shown)?;
        Ok(known.filter(|row| row.is_open(self.now_ms())))
    }

    /// Returns the invitation whose token a peer proves to hold, open or not.
    fn known_invitation(
        &self,
        proof_key: &Secret<32>,
        shown: InviteProof,
    ) -> Result<Option<InvitationRow>, Refusal> {
        let row = self.store.invitation(&shown.invite_id)?;
        let is_proven =
            |row: &InvitationRow| invitation::verify_proof(&row.token, proof_key, &shown.proof);
        Ok(row.filter(is_proven))
    }

    /// Stores a request and shows it to the user, once.
    fn keep_request(
        &mut self,
        row: i64,
        link: &Arc<Session>,
        request: &ContactRequest,
    ) -> Result<(), Refusal> {
        let origin = self.origin_of(link, request)?;
        match self.place_for_request(row, origin)? {
            Claim::Granted => {}
            Claim::TakeFrom(other) => {
                self.counters.count("REQUEST_REPLACED");
                self.forget_request(other)?;
            }
            Claim::Refused => {
                self.misdeed(link.id, "REQUESTS_TOO_MANY");
                return Ok(());
            }
        }
        let contact = self.contact_mut(row)?;
        contact.state = ContactState::Request;
        // A name that a stranger chose is shown to the user. An unfit one is dropped entirely.
        contact.suggested_name = contact_name::visible(&request.name);
        if !contact_name::is_fit(&contact.suggested_name) {
            contact.suggested_name.clear();
        }
        self.save_contact(row)?;
        let now = self.now_ms();
        self.store.put_request(row, origin, now)?;
        self.event(EventKind::ContactRequest, row, None, 0)?;
        Ok(())
    }

    /// Returns whether a stranger's request would be kept, or makes it a contact at once.
    pub(super) fn may_ask(
        &self,
        link: &Session,
        request: &ContactRequest,
    ) -> Result<bool, Refusal> {
        if self.proven_invitation(link, request.invite)?.is_some() {
            return Ok(true);
        }
        let origin = self.origin_of(link, request)?;
        Ok(self.place_for_request(NO_ROW, origin)? != Claim::Refused)
    }

    fn origin_of(&self, link: &Session, request: &ContactRequest) -> Result<Origin, Refusal> {
        let known = match request.invite {
            Some(shown) => self.known_invitation(&link.proof_key, shown)?,
            None => None,
        };
        Ok(match known {
            Some(invitation) => Origin::Invitation(invitation.id),
            None => Origin::Prefix(Prefix::of(link.remote.ip())),
        })
    }

    /// Finds a place for a request among those that wait for the user.
    fn place_for_request(&self, row: i64, origin: Origin) -> Result<Claim<i64>, Refusal> {
        let requests = self.store.requests()?.into_iter();
        let waiting = requests.map(|request| (request.contact, request.origin));
        let waiting: Vec<_> = waiting.filter(|(row, _)| self.waits(*row)).collect();
        Ok(requests::place(&waiting, row, origin))
    }

    /// Deletes requests that the user did not answer in time. Returns when to look again.
    pub(super) fn expire_requests(&mut self, now: u64) -> Result<u64, Refusal> {
        for request in self.store.requests()? {
            if !self.waits(request.contact) {
                self.store.delete_request(request.contact)?;
            } else if requests::has_expired(request.asked_ms, now) {
                self.counters.count("REQUEST_EXPIRED");
                self.forget_request(request.contact)?;
            }
        }
        Ok(now.saturating_add(EXPIRE_EVERY_MS))
    }

    fn waits(&self, row: i64) -> bool {
        let peer_state = self.peers.get(&row);
        peer_state.is_some_and(|peer_state| peer_state.contact.state == ContactState::Request)
    }

    /// Deletes a request without telling the peer, which may ask again.
    fn forget_request(&mut self, row: i64) -> Result<(), Refusal> {
        self.store.delete_request(row)?;
        self.end_contact(row, ContactState::Removed)?;
        self.event(EventKind::ContactRemoved, row, None, 0)?;
        Ok(())
    }

    /// Handles the peer's answer to this daemon's request.
    pub(super) fn on_contact_reply(
        &mut self,
        row: i64,
        link: &Arc<Session>,
        accepted: bool,
    ) -> Result<(), Refusal> {
        let contact = self.contact_mut(row)?;
        let (state, asks_again) = (contact.state, contact.invite_token.is_some());
        let has_agreed = self.has_agreed(row, link);
        match requests::on_reply(state, accepted, has_agreed, asks_again) {
            OnReply::Repeated => self.counters.count("REPLY_REPEATED"),
            OnReply::Agreed => {
                self.become_contact(row, link)?;
                self.begin_again(row)?;
                self.begin_talk_again(row, link)?;
            }
            OnReply::Declined => {
                let contact = self.contact_mut(row)?;
                contact.state = ContactState::Declined;
                contact.invite_token = None;
                let peer = contact.peer_id;
                self.save_contact(row)?;
                self.order(peer, Order::Rest);
                self.event(EventKind::ContactDeclined, row, None, 0)?;
            }
            OnReply::AskedInVain => {
                self.contact_mut(row)?.invite_token = None;
                self.save_contact(row)?;
            }
            OnReply::Unasked => self.misdeed(link.id, "REPLY_UNASKED"),
        }
        Ok(())
    }

    /// Returns whether both agreed in this session, and nothing was asked since.
    fn has_agreed(&self, row: i64, link: &Session) -> bool {
        self.peers.get(&row).is_some_and(|peer_state| {
            peer_state.agreed_in == Some(link.id.0) && peer_state.contact.invite_token.is_none()
        })
    }

    /// Makes a peer a contact, with the pairwise look-up secrets of the session in which both
    /// agreed.
    fn become_contact(&mut self, row: i64, link: &Session) -> Result<(), Refusal> {
        let (ours, theirs) = link.lookup_secrets.clone();
        let secrets = LookupSecrets { ours, theirs };
        self.store.set_lookup_secrets(row, &secrets)?;
        if let Some(peer_state) = self.peers.get_mut(&row) {
            peer_state.secrets = Some(secrets);
            peer_state.agreed_in = Some(link.id.0);
        }
        if let Some(peer_state) = self.peers.get_mut(&row) {
            peer_state.refused = "";
        }
        let contact = self.contact_mut(row)?;
        let fresh = contact.state != ContactState::Contact;
        contact.state = ContactState::Contact;
        contact.invite_token = None;
        self.save_contact(row)?;
        if fresh {
            if link.path == Path::Direct {
                let now = self.now_ms();
                let reached = KnownAddress::Proved(link.remote);
                self.store.put_address(row, reached, now)?;
            }
            self.event(EventKind::ContactAdded, row, None, 0)?;
            self.wake_lines();
        }
        Ok(())
    }

    /// Notifies a peer that its request was accepted, now or in its next session. Returns whether
    /// it was sent.
    pub(super) fn answer_request(&mut self, row: i64) -> Result<bool, Refusal> {
        let Some(peer_state) = self.peers.get_mut(&row) else {
            return Ok(false);
        };
        let Some(link) = peer_state.link().cloned() else {
            self.save_contact(row)?;
            return Ok(false);
        };
        if !peer_state.contact.reply_due || peer_state.contact.state != ContactState::Contact {
            return Ok(false);
        }
        peer_state.contact.reply_due = false;
        self.become_contact(row, &link)?;
        self.push_frame(link.id, Message::ContactReply { accepted: true });
        // Not earlier: a peer that does not know yet that it is a contact takes no offer.
        self.begin_talk(row, &link)?;
        Ok(true)
    }

    /// Notifies a peer that its request was declined, if a session is up.
    pub(super) fn refuse_request(&mut self, row: i64) {
        if let Some(link) = self.serving(row) {
            self.push_frame(link.id, Message::ContactReply { accepted: false });
        }
    }

    /// Records a contact request of a session's peer. Returns whether it sent one before.
    pub(super) fn asks(&mut self, id: SessionId) -> bool {
        let progress = self.sessions.progress_mut(id);
        progress.is_some_and(|progress| std::mem::replace(&mut progress.asked, true))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upkeep::tests::{engine, pass_ms};
    use m2_crypto::PeerId;
    use std::net::IpAddr;

    fn from(number: u8) -> Origin {
        Origin::Prefix(Prefix::of(IpAddr::from([127, 0, number, 1])))
    }

    /// Stores a request of a new peer. Returns its row if the request is kept.
    fn ask(engine: &mut Engine, number: u16, origin: Origin) -> Option<i64> {
        let mut id = [0; 32];
        id[..2].copy_from_slice(&number.to_be_bytes());
        match engine.place_for_request(NO_ROW, origin).unwrap() {
            Claim::Granted => {}
            Claim::TakeFrom(other) => engine.forget_request(other).unwrap(),
            Claim::Refused => return None,
        }
        let peer = PeerId::from_bytes(id);
        let row = engine.new_contact(peer, ContactState::Request, "").unwrap();
        let now = engine.now_ms();
        engine.store.put_request(row, origin, now).unwrap();
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
        assert!(!engine.waits(greedy[0]), "the oldest of the largest source");
        assert!(engine.waits(greedy[1]) && engine.waits(honest));
        assert_eq!(
            engine.store.requests().unwrap().len(),
            requests::MAX_REQUESTS
        );
    }

    #[test]
    fn strangers_do_not_displace_invited_peers() {
        let (_dir, mut engine) = engine();
        let invited = ask(&mut engine, 0, Origin::Invitation([1; 16])).unwrap();
        for number in 1..1_000 {
            ask(&mut engine, number, from((number % 250) as u8));
        }
        assert!(engine.waits(invited));
        assert_eq!(
            engine.store.requests().unwrap().len(),
            requests::MAX_REQUESTS + 1
        );
    }

    #[test]
    fn an_unanswered_request_expires() {
        let (_dir, mut engine) = engine();
        let row = ask(&mut engine, 1, from(1)).unwrap();
        let now = engine.now_ms();
        engine
            .expire_requests(now + requests::REQUEST_MS - 1)
            .unwrap();
        assert!(engine.waits(row));
        engine.expire_requests(now + requests::REQUEST_MS).unwrap();
        assert!(!engine.waits(row));
        assert!(engine.store.requests().unwrap().is_empty());
    }
}
