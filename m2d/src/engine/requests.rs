//! How strangers become contacts: requests and answers over a session (spec §4).

use super::Engine;
use super::contact_name;
use super::effect::Effect;
use crate::network::Link;
use crate::refusal::Refusal;
use crate::store::{ContactState, EventKind, InvitationRow, LookupSecrets};
use m2_crypto::Secret;
use m2_crypto::invitation::{self, InviteId};
use m2_net::delivery::Path;
use m2_net::wire::{ContactRequest, InviteProof, Message};
use std::sync::Arc;

/// Requests of strangers that may wait for the user.
const MAX_REQUESTS: usize = 100;

impl Engine {
    /// Sends our request again on a session that is up, if we wait for an answer.
    pub(super) fn ask_again(&mut self, row: i64) -> Result<(), Refusal> {
        let Some(slot) = self.slots.get(&row) else {
            return Ok(());
        };
        let contact = &slot.contact;
        let again = contact.state == ContactState::Contact && contact.invite_token.is_some();
        if contact.state != ContactState::Asked && !again {
            return Ok(());
        }
        let Some(link) = slot.link().cloned() else {
            return Ok(());
        };
        let invite = slot.contact.invite_token.as_ref().map(|token| InviteProof {
            invite_id: *InviteId::of(token).as_bytes(),
            proof: invitation::proof(token, &link.proof_key),
        });
        self.push_frame(
            &link,
            Message::ContactRequest(ContactRequest {
                invite,
                name: String::new(),
            }),
        );
        Ok(())
    }

    /// A peer asks to become a contact.
    pub(super) fn on_contact_request(
        &mut self,
        row: i64,
        link: &Arc<Link>,
        request: &ContactRequest,
    ) -> Result<(), Refusal> {
        if link.asks() {
            link.misbehaved("REQUEST_REPEATED");
        }
        let state = self.contact_mut(row)?.state;
        if state == ContactState::Blocked {
            link.misbehaved("BLOCKED");
            return Ok(());
        }
        let invited_as = self.check_proof(link, request.invite)?;
        match state {
            // Asked again: our answer was lost. Or both asked: then both agree.
            ContactState::Contact | ContactState::Asked => {}
            _ if invited_as.is_some() => {}
            _ => return self.keep_request(row, link, &request.name),
        }
        if let Some(name) = &invited_as
            && state != ContactState::Contact
        {
            // A name that is taken by now is no reason to refuse the peer.
            if self.name_contact(row, name, &request.name).is_err() {
                self.name_contact(row, "", &request.name)?;
            }
        }
        self.become_contact(row, link)?;
        self.contact_mut(row)?.reply_due = true;
        self.answer_request(row)
    }

    /// The name to give to who proves an open invitation; None without a valid proof.
    fn check_proof(
        &mut self,
        link: &Link,
        shown: Option<InviteProof>,
    ) -> Result<Option<String>, Refusal> {
        let known = self
            .row_of(&link.peer_id)
            .is_some_and(|contact| self.is_contact(contact));
        let Some(invitation) = self.proven_invitation(link, shown)? else {
            // Who asks again shows what it has used up when it became a contact.
            if shown.is_some() && !known {
                link.misbehaved("INVITATION_REFUSED");
            }
            return Ok(None);
        };
        if !known {
            self.store.use_invitation(&invitation.id)?;
        }
        Ok(Some(invitation.contact_name))
    }

    /// The open invitation whose token a peer proves to hold in this session. Uses nothing up.
    pub(super) fn proven_invitation(
        &self,
        link: &Link,
        shown: Option<InviteProof>,
    ) -> Result<Option<InvitationRow>, Refusal> {
        match shown {
            Some(shown) => self.invitation_shown(&link.proof_key, shown),
            None => Ok(None),
        }
    }

    /// The same in a session that is no link: by what binds proofs to it.
    pub(super) fn invitation_shown(
        &self,
        proof_key: &Secret<32>,
        shown: InviteProof,
    ) -> Result<Option<InvitationRow>, Refusal> {
        let Some(row) = self.store.invitation(&shown.invite_id)? else {
            return Ok(None);
        };
        let proven = invitation::verify_proof(&row.token, proof_key, &shown.proof);
        Ok(Some(row).filter(|row| proven && row.is_open(self.now_ms())))
    }

    /// No further request is kept until the user has looked at some.
    pub(super) fn requests_are_full(&self) -> bool {
        self.count(ContactState::Request) >= MAX_REQUESTS
    }

    /// Shows a request to the user, once.
    fn keep_request(&mut self, row: i64, link: &Link, name: &str) -> Result<(), Refusal> {
        if self.contact_mut(row)?.state == ContactState::Request {
            return Ok(());
        }
        if self.requests_are_full() {
            link.misbehaved("REQUESTS_TOO_MANY");
            return Ok(());
        }
        let contact = self.contact_mut(row)?;
        contact.state = ContactState::Request;
        // What a stranger calls itself is shown to the user: nothing of it if it is not fit.
        contact.suggested_name = contact_name::visible(name);
        if !contact_name::is_fit(&contact.suggested_name) {
            contact.suggested_name.clear();
        }
        self.save_contact(row)?;
        self.event(EventKind::ContactRequest, row, None, 0)?;
        Ok(())
    }

    /// The peer answered our request.
    pub(super) fn on_contact_reply(
        &mut self,
        row: i64,
        link: &Arc<Link>,
        accepted: bool,
    ) -> Result<(), Refusal> {
        match (self.contact_mut(row)?.state, accepted) {
            // It costs nothing to say it again, so it must cost us nothing to hear it.
            (ContactState::Contact, true) if self.has_agreed(row, link) => {
                self.counters.count("REPLY_REPEATED");
                Ok(())
            }
            (ContactState::Asked | ContactState::Contact, true) => {
                self.become_contact(row, link)?;
                self.offer_lines(row)?;
                self.seek_direct(row, link);
                Ok(())
            }
            (ContactState::Asked, false) => {
                let contact = self.contact_mut(row)?;
                contact.state = ContactState::Declined;
                contact.invite_token = None;
                self.save_contact(row)?;
                let peer = self.contact_mut(row)?.peer_id;
                self.dialer.rest(peer);
                self.event(EventKind::ContactDeclined, row, None, 0)?;
                Ok(())
            }
            // We were removed there, asked again, and were declined.
            (ContactState::Contact, false) if self.contact_mut(row)?.invite_token.is_some() => {
                self.contact_mut(row)?.invite_token = None;
                self.save_contact(row)
            }
            _ => {
                link.misbehaved("REPLY_UNASKED");
                Ok(())
            }
        }
    }

    /// Whether both agreed in this very session, and nothing was asked since.
    fn has_agreed(&self, row: i64, link: &Link) -> bool {
        self.slots.get(&row).is_some_and(|slot| {
            slot.agreed_in == Some(link.id) && slot.contact.invite_token.is_none()
        })
    }

    /// Both agreed. Takes the pairwise look-up secrets from the session in which they did.
    fn become_contact(&mut self, row: i64, link: &Link) -> Result<(), Refusal> {
        let (ours, theirs) = link.lookup_secrets.clone();
        let secrets = LookupSecrets { ours, theirs };
        self.store.set_lookup_secrets(row, &secrets)?;
        if let Some(slot) = self.slots.get_mut(&row) {
            slot.secrets = Some(secrets);
            slot.agreed_in = Some(link.id);
        }
        if let Some(slot) = self.slots.get_mut(&row) {
            slot.refused = "";
        }
        let contact = self.contact_mut(row)?;
        let fresh = contact.state != ContactState::Contact;
        contact.state = ContactState::Contact;
        // Who asked a contact again may have been removed there: what was sent since is lost.
        let asked_again = contact.invite_token.take().is_some() && !fresh;
        self.save_contact(row)?;
        if fresh {
            if link.path() == Path::Direct {
                let now = self.now_ms();
                self.store.put_address(row, link.remote, now)?;
            }
            self.event(EventKind::ContactAdded, row, None, 0)?;
            self.wake_lines();
        }
        if fresh || asked_again {
            self.offer_again(row)?;
        }
        Ok(())
    }

    /// Offers everything unacknowledged on the session that is up, if there is one.
    pub(super) fn offer_again(&mut self, row: i64) -> Result<(), Refusal> {
        let Some(path) = self
            .slots
            .get(&row)
            .and_then(|slot| slot.link())
            .map(|link| link.path())
        else {
            return Ok(());
        };
        self.converse(row, |conversation, cx| conversation.connected(cx, path))
    }

    /// Tells a peer that we accepted, now or when a session comes up.
    pub(super) fn answer_request(&mut self, row: i64) -> Result<(), Refusal> {
        let Some(slot) = self.slots.get_mut(&row) else {
            return Ok(());
        };
        let Some(link) = slot.link().cloned() else {
            return self.save_contact(row);
        };
        if !slot.contact.reply_due || slot.contact.state != ContactState::Contact {
            return Ok(());
        }
        slot.contact.reply_due = false;
        self.become_contact(row, &link)?;
        self.push_frame(&link, Message::ContactReply { accepted: true });
        // Not before: who does not know yet that it is a contact takes no offer.
        self.offer_lines(row)?;
        self.seek_direct(row, &link);
        Ok(())
    }

    /// Tells a peer that we declined, if it is there to hear it.
    pub(super) fn refuse_request(&mut self, row: i64) {
        if let Some(link) = self.slots.get(&row).and_then(|slot| slot.link()).cloned() {
            self.push_frame(&link, Message::ContactReply { accepted: false });
        }
    }

    /// Sends a frame once the batch is on disk.
    fn push_frame(&mut self, link: &Arc<Link>, message: Message) {
        let effect = Effect::Frame(link.clone(), Box::new(message));
        self.effects.push(effect);
    }
}
