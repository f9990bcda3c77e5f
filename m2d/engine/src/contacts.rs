//! Contacts as front-ends see and change them.

mod names;
mod request;

pub use request::ContactRequest;

use super::{Effect, Engine};
use crate::refusal::Refusal;
use crate::session::Session;
use m2_core::IpMode;
use m2_core::dial::{Order, use_of};
use m2_core::{ContactState, KnownAddress};
use m2_crypto::PeerId;
use m2_crypto::Secret;
use m2_crypto::invitation::{Invitation, InvitationError};
use m2_crypto::verification::VerificationCode;
use m2_delivery::Path;
use m2_proto::reason::Reason;
use m2_store::{ContactRow, EventKind, LookupSecrets, MailboxPolicy};
use m2_wire::CloseCode;
use std::sync::Arc;
use zeroize::Zeroizing;

/// The most contacts, requests and blocked peers together. Removed contacts are not counted, as
/// their rows are pruned.
const MAX_CONTACTS: usize = 10_000;
/// Characters of the peer id that form the default name.
const NAME_FROM_ID: usize = 12;

/// A contact as front-ends see it.
#[derive(Debug, Clone)]
pub struct ContactView {
    /// The stored row.
    pub row: ContactRow,
    /// True if a session is up and its peer answers.
    pub online: bool,
    /// Known addresses, the latest first.
    pub addresses: Vec<KnownAddress>,
    /// Why the last attempt to reach the contact failed, as a stable reason; empty if it did not.
    pub last_failure: &'static str,
    /// The known problem in one sentence, with what to do about it; empty without one.
    pub problem: String,
    /// The switches for letters, one for each direction.
    pub mailbox: MailboxPolicy,
    /// True if the contact offers a box.
    pub mailbox_offered: bool,
    /// Why the last deposit for the contact failed, as a stable reason; empty if it succeeded.
    pub mailbox_failure: &'static str,
    /// The path of the current session, if one is up.
    pub path: Option<Path>,
    /// The mode of the contact's own policy; `None` if the profile's applies.
    pub ip: Option<IpMode>,
    /// Retention time of the contact's own policy, in seconds; `None` if the profile's applies.
    pub keep_s: Option<u64>,
    /// True if the contact reached its quota: no more messages are taken from it.
    pub is_over_quota: bool,
    /// The conflict found lately in the contact's store, as a number; 0 for none found.
    pub conflict: i64,
}

impl Engine {
    /// Asks an inviter to become a contact: stores the request and dials the inviter.
    pub(crate) fn add_contact(&mut self, text: &str, name: &str) -> Result<ContactView, Refusal> {
        let invitation = parse_invitation(text)?;
        self.check_invitation(&invitation)?;
        self.require_disk()?;
        let peer = *invitation.peer();
        let known = self.row_of(&peer);
        if !name.is_empty() {
            self.check_name(name, known)?;
        }
        let row = match known {
            Some(row) => row,
            None => self.new_contact(peer, ContactState::Removed, "")?,
        };
        self.check_room(row)?;
        self.name_contact(row, name, "")?;
        let now = self.now_ms();
        let wanted = use_of(self.ip_mode(row));
        let addresses = self.usable(invitation.addresses().to_vec(), wanted);
        for named in addresses.into_iter().rev() {
            let named = KnownAddress::Named(named);
            self.store.put_address(row, named, now)?;
        }
        self.keep_invited_lines(row, &invitation)?;
        self.keep_rendezvous(row, &invitation)?;
        if self.is_talking(row) {
            return self.view(row);
        }
        let contact = self.contact_mut(row)?;
        // A contact is asked again too: it may have removed this identity and now invites it again.
        contact.invite_token = Some(invitation.token().clone());
        if contact.state != ContactState::Contact {
            contact.state = ContactState::Asked;
        }
        self.save_contact(row)?;
        self.ask_again(row)?;
        self.dial(row)?;
        self.view(row)
    }

    /// Returns whether a contact stated its places in the serving session, which shows that it also
    /// takes the two for contacts.
    fn is_talking(&self, row: i64) -> bool {
        let talks = |link: Arc<Session>| {
            self.places_in(link.id).is_some() && !self.wants_successor(link.id)
        };
        self.is_contact(row) && self.serving(row).is_some_and(talks)
    }

    /// Stores the invitation's secret, under which the inviter is looked up until both have agreed.
    fn keep_rendezvous(&mut self, row: i64, invitation: &Invitation) -> Result<(), Refusal> {
        if self.is_contact(row) {
            return Ok(());
        }
        let secrets = LookupSecrets {
            ours: Secret::random(&mut self.rng),
            theirs: invitation.rendezvous().clone(),
        };
        self.store.set_lookup_secrets(row, &secrets)?;
        if let Some(peer_state) = self.peers.get_mut(&row) {
            peer_state.secrets = Some(secrets);
        }
        self.wake_lookup();
        Ok(())
    }

    pub(super) fn check_invitation(&self, invitation: &Invitation) -> Result<(), Refusal> {
        self.check_inviter(invitation)?;
        if invitation.has_expired(self.now_ms() / 1_000) {
            return Err(Refusal::new(Reason::InvitationExpired));
        }
        Ok(())
    }

    /// Checks that the inviter belongs to this circle and is not this daemon.
    pub(super) fn check_inviter(&self, invitation: &Invitation) -> Result<(), Refusal> {
        let reason = if !invitation.is_for(self.circle.id()) {
            Reason::OtherCircle
        } else if *invitation.peer() == self.own_id {
            Reason::InvitationOwn
        } else {
            return Ok(());
        };
        Err(Refusal::new(reason))
    }

    /// Lists up to `limit` contacts sorted by name, starting after the name `after` and optionally
    /// filtered by state. Removed contacts are omitted without a filter. Also returns whether there
    /// are more.
    pub(crate) fn list_contacts(
        &self,
        state: Option<ContactState>,
        after: &str,
        limit: usize,
    ) -> Result<(Vec<ContactView>, bool), Refusal> {
        let wanted = |peer_state: &&super::peer_state::PeerState| match state {
            Some(state) => peer_state.contact.state == state,
            None => peer_state.contact.state != ContactState::Removed,
        };
        let mut names: Vec<(&str, i64)> = self
            .peers
            .values()
            .filter(wanted)
            .map(|peer_state| (peer_state.contact.name.as_str(), peer_state.contact.row))
            .filter(|(name, _)| *name > after)
            .collect();
        names.sort_unstable();
        let has_more = names.len() > limit;
        let page = names.into_iter().take(limit);
        let views = page.map(|(_, row)| self.view(row));
        Ok((views.collect::<Result<_, _>>()?, has_more))
    }

    /// Returns one contact.
    pub(crate) fn get_contact(&mut self, name: &str) -> Result<ContactView, Refusal> {
        let row = self.resolve(name)?;
        self.view(row)
    }

    /// Renames a contact.
    pub(crate) fn rename_contact(&mut self, name: &str, new: &str) -> Result<ContactView, Refusal> {
        let row = self.resolve(name)?;
        self.check_name(new, Some(row))?;
        self.contact_mut(row)?.name = new.to_owned();
        self.save_contact(row)?;
        self.view(row)
    }

    /// Accepts a request.
    pub(crate) fn accept_contact(&mut self, name: &str, new: &str) -> Result<ContactView, Refusal> {
        let row = self.resolve_request(name)?;
        let suggested = self.contact_mut(row)?.suggested_name.clone();
        self.name_contact(row, new, &suggested)?;
        let contact = self.contact_mut(row)?;
        contact.state = ContactState::Contact;
        contact.reply_due = true;
        self.save_contact(row)?;
        self.event(EventKind::ContactAdded, row, None, 0)?;
        self.wake_lines();
        self.begin_again(row)?;
        self.answer_request(row)?;
        self.dial(row)?;
        self.view(row)
    }

    /// Declines a request: tells the peer, and marks its row as removed.
    pub(crate) fn decline_contact(&mut self, name: &str) -> Result<(), Refusal> {
        let row = self.resolve_request(name)?;
        self.refuse_request(row);
        self.end_contact(row, ContactState::Removed)
    }

    /// Blocks a peer, known or not.
    pub(crate) fn block_contact(&mut self, name: &str) -> Result<(), Refusal> {
        let row = match (self.resolve(name), name.parse::<PeerId>()) {
            (Ok(row), _) => row,
            (Err(_), Ok(peer)) if peer == self.own_id => {
                return Err(Refusal::argument(
                    "contact",
                    "",
                    "This is your own peer id. Name the peer to block.",
                ));
            }
            (Err(_), Ok(peer)) => match self.row_of(&peer) {
                Some(row) => row,
                None => self.new_contact(peer, ContactState::Removed, "")?,
            },
            (Err(refusal), Err(_)) => return Err(refusal),
        };
        let was_contact = self.is_contact(row);
        self.end_contact(row, ContactState::Blocked)?;
        self.close_links(row, CloseCode::Refused);
        if was_contact {
            self.event(EventKind::ContactRemoved, row, None, 0)?;
        }
        Ok(())
    }

    /// Removes a contact with its outbox, and erases its messages if `history` is set.
    pub(crate) fn remove_contact(&mut self, name: &str, history: bool) -> Result<(), Refusal> {
        let row = self.resolve(name)?;
        if history {
            self.begin_erasure(row, true)?;
        }
        self.end_contact(row, ContactState::Removed)?;
        self.close_links(row, CloseCode::NotAContact);
        self.event(EventKind::ContactRemoved, row, None, 0)?;
        Ok(())
    }

    /// Returns the verification code, and whether the user confirmed it. `matched` sets the
    /// confirmation.
    pub(crate) fn verify_contact(
        &mut self,
        name: &str,
        matched: Option<bool>,
    ) -> Result<(String, bool), Refusal> {
        let row = self.resolve(name)?;
        if !self.is_contact(row) {
            return Err(Refusal::new(Reason::NotAContact));
        }
        let peer_state = self.peers.get_mut(&row).ok_or_else(unknown)?;
        let certificate = peer_state.certificate()?;
        if let Some(matched) = matched {
            peer_state.contact.verified = matched;
            self.store.update_contact(&peer_state.contact)?;
        }
        let verified = peer_state.contact.verified;
        let own = self.identity.certificate();
        let code = VerificationCode::of(self.circle.id(), own, &certificate);
        Ok((code.to_string(), verified))
    }

    /// Discards a contact's outbox and moves it to a state.
    pub(super) fn end_contact(&mut self, row: i64, state: ContactState) -> Result<(), Refusal> {
        self.begin_erasure(row, false)?;
        let now = self.now_ms();
        self.end_mail(row)?;
        self.end_lines(row)?;
        let contact = self.contact_mut(row)?;
        contact.state = state;
        contact.invite_token = None;
        contact.reply_due = false;
        if state == ContactState::Removed {
            contact.verified = false;
            contact.ip = None;
            contact.removed_ms = now;
        }
        self.save_contact(row)?;
        let peer = self.contact_mut(row)?.peer_id;
        self.order(peer, Order::Rest);
        Ok(())
    }

    fn close_links(&mut self, row: i64, code: CloseCode) {
        let links = self
            .peers
            .get(&row)
            .map(|peer_state| peer_state.links.clone());
        for link in links.unwrap_or_default() {
            self.effect(Effect::Close(link.id, code));
        }
    }

    /// Creates a row for a new peer.
    pub(super) fn new_contact(
        &mut self,
        peer: PeerId,
        state: ContactState,
        suggested: &str,
    ) -> Result<i64, Refusal> {
        if self.living() >= MAX_CONTACTS {
            return Err(Refusal::limit(
                "contacts",
                MAX_CONTACTS,
                "contacts",
                "Remove some of them first.",
            ));
        }
        let now = self.now_ms();
        let mut contact = ContactRow::new(peer, state, now);
        contact.name = name_from_id(&peer);
        suggested.clone_into(&mut contact.suggested_name);
        contact.row = self.store.insert_contact(&contact)?;
        let row = contact.row;
        self.insert_peer(contact);
        self.adopt_stranger(row, &peer)?;
        Ok(row)
    }

    /// Checks the limit for a removed contact that is added again, as it counts again.
    fn check_room(&self, row: i64) -> Result<(), Refusal> {
        let is_removed = |peer_state: &super::peer_state::PeerState| {
            peer_state.contact.state == ContactState::Removed
        };
        if self.peers.get(&row).is_some_and(is_removed) && self.living() >= MAX_CONTACTS {
            return Err(Refusal::limit(
                "contacts",
                MAX_CONTACTS,
                "contacts",
                "Remove some of them first.",
            ));
        }
        Ok(())
    }

    /// Returns the number of rows that count towards the limit.
    fn living(&self) -> usize {
        self.peers.len() - self.count(ContactState::Removed)
    }

    pub(super) fn contact_mut(&mut self, row: i64) -> Result<&mut ContactRow, Refusal> {
        let peer_state = self.peers.get_mut(&row).ok_or_else(unknown)?;
        Ok(&mut peer_state.contact)
    }

    pub(super) fn save_contact(&mut self, row: i64) -> Result<(), Refusal> {
        let peer_state = self.peers.get(&row).ok_or_else(unknown)?;
        self.store.update_contact(&peer_state.contact)?;
        self.note_priority(row)?;
        Ok(())
    }

    pub(super) fn view(&self, row: i64) -> Result<ContactView, Refusal> {
        let peer_state = self.peers.get(&row).ok_or_else(unknown)?;
        Ok(ContactView {
            row: peer_state.contact.clone(),
            online: self.is_online(row),
            addresses: self.store.addresses(row)?,
            last_failure: self.failure_of(row),
            problem: self.problem(row),
            mailbox: self.mail.policy(row),
            mailbox_offered: self.mail.offered.contains(&row),
            mailbox_failure: self.mail.failures.get(&row).copied().unwrap_or_default(),
            path: peer_state.link().map(|link| link.path),
            ip: peer_state.contact.ip,
            keep_s: self.store.keep_of(row)?,
            is_over_quota: self.has_reached_quota(row)?,
            conflict: self.recent_conflict(row)?,
        })
    }
}

/// Parses an invitation. White space is dropped, as mail programs break long lines.
pub(super) fn parse_invitation(text: &str) -> Result<Invitation, Refusal> {
    let text: String = text.split_whitespace().collect();
    let text = Zeroizing::new(text);
    text.parse().map_err(|error| {
        let message = match error {
            _ if !text.to_lowercase().starts_with("m2://") => {
                "Not an M2 invitation: it must begin with m2://."
            }
            InvitationError::UnknownVersion => {
                "The invitation was made by a newer version of M2. Update this one, then try again."
            }
            InvitationError::Malformed | InvitationError::Limits => {
                "The invitation is incomplete or mistyped. Copy all of it, from m2:// to its end, \
                 or ask for a new one."
            }
        };
        Refusal::because(Reason::InvitationInvalid, message)
    })
}

fn unknown() -> Refusal {
    Refusal::new(Reason::ContactUnknown)
}

fn name_from_id(peer: &PeerId) -> String {
    peer.to_string().chars().take(NAME_FROM_ID).collect()
}
