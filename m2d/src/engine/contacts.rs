//! Contacts as front-ends see and change them.

use super::Engine;
use super::effect::Effect;
use crate::config::IpMode;
use crate::refusal::Refusal;
use crate::store::{
    ContactRow, ContactState, EventKind, KnownAddress, LookupSecrets, MailboxPolicy,
};
use m2_crypto::PeerId;
use m2_crypto::Secret;
use m2_crypto::invitation::{Invitation, InvitationError};
use m2_crypto::verification::VerificationCode;
use m2_net::delivery::{GiveUp, Path};
use m2_net::session::CloseCode;
use m2_proto::reason::Reason;

/// Contacts, requests and blocked peers together; not those that were removed, as their rows go by
/// themselves.
const MAX_CONTACTS: usize = 10_000;
/// The longest name, bytes.
const MAX_NAME: usize = 64;
/// The shortest beginning of a peer id that names a contact.
const MIN_PREFIX: usize = 10;
/// Characters of a peer id that stand for a name.
const NAME_FROM_ID: usize = 12;

/// A contact as shown.
#[derive(Debug, Clone)]
pub struct ContactView {
    /// What is stored.
    pub row: ContactRow,
    /// A session is up, and its peer answers.
    pub online: bool,
    /// Where it was reached, the latest first.
    pub addresses: Vec<KnownAddress>,
    /// Why the last attempt to reach it failed; empty when it did not.
    pub last_failure: &'static str,
    /// The switches of its mailboxes and ours.
    pub mailbox: MailboxPolicy,
    /// It offers a box.
    pub mailbox_offered: bool,
    /// Why the last deposit for it did not succeed; empty when it did.
    pub mailbox_failure: &'static str,
    /// The way that its session takes, while one is up.
    pub path: Option<Path>,
    /// Which ways its sessions may take by its own policy; none: as the profile's (spec §7).
    pub ip: Option<IpMode>,
}

impl Engine {
    /// Stores the wish to become a contact of an inviter, and begins to reach it.
    pub fn add_contact(&mut self, text: &str, name: &str) -> Result<ContactView, Refusal> {
        let invitation: Invitation = text.trim().parse().map_err(|error: InvitationError| {
            Refusal::because(Reason::InvitationInvalid, error.to_string())
        })?;
        self.check_invitation(&invitation)?;
        let peer = *invitation.peer();
        let row = match self.row_of(&peer) {
            Some(row) => row,
            None => self.new_contact(peer, ContactState::Removed, "")?,
        };
        self.check_room(row)?;
        self.name_contact(row, name, "")?;
        let now = self.now_ms();
        let addresses = invitation.addresses().iter().rev();
        for named in addresses.filter(|named| named.scope().is_some()) {
            let named = KnownAddress::Named(*named);
            self.store.put_address(row, named, now)?;
        }
        self.keep_invited_lines(row, &invitation)?;
        self.keep_rendezvous(row, &invitation)?;
        let contact = self.contact_mut(row)?;
        // A contact is asked too: it may have removed us, and invites us again.
        contact.invite_token = Some(invitation.token().clone());
        if contact.state != ContactState::Contact {
            contact.state = ContactState::Asked;
        }
        self.save_contact(row)?;
        self.ask_again(row)?;
        self.dial(row)?;
        self.view(row)
    }

    /// Until both agreed, an inviter is found by its invitation's own secret.
    fn keep_rendezvous(&mut self, row: i64, invitation: &Invitation) -> Result<(), Refusal> {
        if self.is_contact(row) {
            return Ok(());
        }
        let secrets = LookupSecrets {
            ours: Secret::random(&mut self.rng),
            theirs: invitation.rendezvous().clone(),
        };
        self.store.set_lookup_secrets(row, &secrets)?;
        if let Some(slot) = self.slots.get_mut(&row) {
            slot.secrets = Some(secrets);
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

    /// Whether the inviter lives in our circle and is not this daemon.
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

    /// All contacts in one state, or in any, by name. Removed ones are none.
    pub fn list_contacts(
        &mut self,
        state: Option<ContactState>,
    ) -> Result<Vec<ContactView>, Refusal> {
        let wanted = |slot: &&super::slot::Slot| match state {
            Some(state) => slot.contact.state == state,
            None => slot.contact.state != ContactState::Removed,
        };
        let rows: Vec<i64> = self
            .slots
            .values()
            .filter(wanted)
            .map(|slot| slot.contact.row)
            .collect();
        let mut views: Vec<ContactView> = rows
            .into_iter()
            .map(|row| self.view(row))
            .collect::<Result<_, _>>()?;
        views.sort_by(|a, b| a.row.name.cmp(&b.row.name));
        Ok(views)
    }

    /// One contact.
    pub fn get_contact(&mut self, name: &str) -> Result<ContactView, Refusal> {
        let row = self.resolve(name)?;
        self.view(row)
    }

    /// Gives a contact another name.
    pub fn rename_contact(&mut self, name: &str, new: &str) -> Result<ContactView, Refusal> {
        let row = self.resolve(name)?;
        self.check_name(new, Some(row))?;
        self.contact_mut(row)?.name = new.to_owned();
        self.save_contact(row)?;
        self.view(row)
    }

    /// Accepts a request.
    pub fn accept_contact(&mut self, name: &str, new: &str) -> Result<ContactView, Refusal> {
        let row = self.resolve_request(name)?;
        let suggested = self.contact_mut(row)?.suggested_name.clone();
        self.name_contact(row, new, &suggested)?;
        let contact = self.contact_mut(row)?;
        contact.state = ContactState::Contact;
        contact.reply_due = true;
        self.save_contact(row)?;
        self.event(EventKind::ContactAdded, row, None, 0)?;
        self.wake_lines();
        self.answer_request(row)?;
        self.offer_again(row)?;
        self.dial(row)?;
        self.view(row)
    }

    /// Declines a request: the peer is told, and forgotten.
    pub fn decline_contact(&mut self, name: &str) -> Result<(), Refusal> {
        let row = self.resolve_request(name)?;
        self.refuse_request(row);
        self.end_contact(row, ContactState::Removed)
    }

    /// Blocks a peer, known or not.
    pub fn block_contact(&mut self, name: &str) -> Result<(), Refusal> {
        let row = match (self.resolve(name), name.parse::<PeerId>()) {
            (Ok(row), _) => row,
            (Err(_), Ok(peer)) if peer == self.own_id => {
                return Err(Refusal::argument("This is your own peer id."));
            }
            (Err(_), Ok(peer)) => match self.row_of(&peer) {
                Some(row) => row,
                None => self.new_contact(peer, ContactState::Removed, "")?,
            },
            (Err(refusal), Err(_)) => return Err(refusal),
        };
        let was_contact = self.is_contact(row);
        self.end_contact(row, ContactState::Blocked)?;
        self.close_links(row);
        if was_contact {
            self.event(EventKind::ContactRemoved, row, None, 0)?;
        }
        Ok(())
    }

    /// Removes a contact with its outbox, and its messages when `history`.
    pub fn remove_contact(&mut self, name: &str, history: bool) -> Result<(), Refusal> {
        let row = self.resolve(name)?;
        if history {
            self.store.erase_history(row)?;
        }
        self.end_contact(row, ContactState::Removed)?;
        self.close_links(row);
        self.event(EventKind::ContactRemoved, row, None, 0)?;
        Ok(())
    }

    /// The code that both sides compare, and whether they did.
    pub fn verify_contact(
        &mut self,
        name: &str,
        matched: Option<bool>,
    ) -> Result<(String, bool), Refusal> {
        let row = self.resolve(name)?;
        if !self.is_contact(row) {
            return Err(Refusal::new(Reason::NotAContact));
        }
        let slot = self.slots.get_mut(&row).ok_or_else(unknown)?;
        let certificate = slot.certificate()?;
        if let Some(matched) = matched {
            slot.contact.verified = matched;
            self.store.update_contact(&slot.contact)?;
        }
        let verified = slot.contact.verified;
        let own = self.identity.certificate();
        let code = VerificationCode::of(self.circle.id(), own, &certificate);
        Ok((code.to_string(), verified))
    }

    /// Ends the outbox of a contact and moves it to a state.
    pub(super) fn end_contact(&mut self, row: i64, state: ContactState) -> Result<(), Refusal> {
        for id in self.store.outbox_ids(row)? {
            self.converse(row, |conversation, cx| {
                conversation.give_up(cx, id, GiveUp::ContactRemoved);
            })?;
        }
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
        let slot = self.slots.get(&row).ok_or_else(unknown)?;
        self.dialer.rest(slot.contact.peer_id);
        Ok(())
    }

    fn close_links(&mut self, row: i64) {
        let links = self.slots.get(&row).map(|slot| slot.links.clone());
        for link in links.unwrap_or_default() {
            self.effects.push(Effect::Close(link, CloseCode::Refused));
        }
    }

    /// Makes a row for a peer that has none.
    pub(super) fn new_contact(
        &mut self,
        peer: PeerId,
        state: ContactState,
        suggested: &str,
    ) -> Result<i64, Refusal> {
        if self.living() >= MAX_CONTACTS {
            return Err(Refusal::new(Reason::LimitReached));
        }
        let now = self.now_ms();
        let mut contact = ContactRow::new(peer, state, now);
        contact.name = name_from_id(&peer);
        suggested.clone_into(&mut contact.suggested_name);
        contact.row = self.store.insert_contact(&contact)?;
        let row = contact.row;
        self.insert_slot(contact);
        Ok(row)
    }

    /// A removed contact counts again once it is added.
    fn check_room(&self, row: i64) -> Result<(), Refusal> {
        let is_removed = |slot: &super::slot::Slot| slot.contact.state == ContactState::Removed;
        if self.slots.get(&row).is_some_and(is_removed) && self.living() >= MAX_CONTACTS {
            return Err(Refusal::new(Reason::LimitReached));
        }
        Ok(())
    }

    /// Rows that count towards the limit.
    fn living(&self) -> usize {
        self.slots.len() - self.count(ContactState::Removed)
    }

    /// Names a contact: what the user wants, else what the peer suggests if that is free and
    /// fit, else as it is.
    pub(super) fn name_contact(
        &mut self,
        row: i64,
        wanted: &str,
        suggested: &str,
    ) -> Result<(), Refusal> {
        if !wanted.is_empty() {
            self.check_name(wanted, Some(row))?;
            self.contact_mut(row)?.name = wanted.to_owned();
        } else if self.check_name(suggested, Some(row)).is_ok() {
            self.contact_mut(row)?.name = suggested.to_owned();
        }
        Ok(())
    }

    /// Whether a name may be given to the contact with `row`.
    pub(super) fn check_name(&self, name: &str, row: Option<i64>) -> Result<(), Refusal> {
        if !is_fit(name) {
            return Err(Refusal::argument(
                "A name has 1 to 64 bytes, no control characters, no spaces at its ends, and \
                 does not begin with m21.",
            ));
        }
        let folded = name.to_lowercase();
        let taken = self.slots.values().any(|slot| {
            Some(slot.contact.row) != row
                && slot.contact.state != ContactState::Removed
                && slot.contact.name.to_lowercase() == folded
        });
        if taken {
            return Err(Refusal::new(Reason::NameTaken));
        }
        Ok(())
    }

    /// The contact that a text names: its name, its peer id, or the beginning of that.
    pub(super) fn resolve(&self, text: &str) -> Result<i64, Refusal> {
        let known = || {
            self.slots
                .values()
                .filter(|slot| slot.contact.state != ContactState::Removed)
        };
        let folded = text.to_lowercase();
        let by_name = known().find(|slot| slot.contact.name.to_lowercase() == folded);
        if let Some(slot) = by_name {
            return Ok(slot.contact.row);
        }
        if folded.len() < MIN_PREFIX || !folded.starts_with("m21") {
            return Err(unknown());
        }
        let mut by_id =
            known().filter(|slot| slot.contact.peer_id.to_string().starts_with(&folded));
        match (by_id.next(), by_id.next()) {
            (Some(slot), None) => Ok(slot.contact.row),
            (Some(_), Some(_)) => Err(Refusal::new(Reason::ContactAmbiguous)),
            (None, _) => Err(unknown()),
        }
    }

    fn resolve_request(&self, name: &str) -> Result<i64, Refusal> {
        let row = self.resolve(name)?;
        let slot = self.slots.get(&row).ok_or_else(unknown)?;
        if slot.contact.state == ContactState::Request {
            Ok(row)
        } else {
            Err(Refusal::new(Reason::NoRequest))
        }
    }

    pub(super) fn contact_mut(&mut self, row: i64) -> Result<&mut ContactRow, Refusal> {
        let slot = self.slots.get_mut(&row).ok_or_else(unknown)?;
        Ok(&mut slot.contact)
    }

    pub(super) fn save_contact(&self, row: i64) -> Result<(), Refusal> {
        let slot = self.slots.get(&row).ok_or_else(unknown)?;
        self.store.update_contact(&slot.contact)?;
        Ok(())
    }

    pub(super) fn view(&self, row: i64) -> Result<ContactView, Refusal> {
        let slot = self.slots.get(&row).ok_or_else(unknown)?;
        let online = slot.links.iter().any(|link| !link.in_doubt());
        Ok(ContactView {
            row: slot.contact.clone(),
            online,
            addresses: self.store.addresses(row)?,
            last_failure: if online { "" } else { slot.last_failure },
            mailbox: self.mail.policy(row),
            mailbox_offered: self.mail.offered.contains(&row),
            mailbox_failure: self.mail.failures.get(&row).copied().unwrap_or_default(),
            path: slot.link().map(|link| link.path()),
            ip: slot.contact.ip,
        })
    }
}

/// Whether a text may be a name: it can't be mistaken for a peer id, and nothing in it moves a
/// cursor or changes the direction of what is written beside it.
pub(super) fn is_fit(name: &str) -> bool {
    (1..=MAX_NAME).contains(&name.len())
        && name.trim() == name
        && !name.chars().any(is_invisible)
        && !name.to_lowercase().starts_with("m21")
}

/// Control characters, separators of lines, and marks for the direction of writing.
fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2066}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}')
}

fn unknown() -> Refusal {
    Refusal::new(Reason::ContactUnknown)
}

fn name_from_id(peer: &PeerId) -> String {
    peer.to_string().chars().take(NAME_FROM_ID).collect()
}
