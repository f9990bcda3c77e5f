//! This daemon's boxes at providers, and the grants that let contacts deposit into them
//! (`docs/spec/mailbox.md#tokens`).

use super::Engine;
use super::contacts::parse_invitation;
use super::input::Reply;
use super::lines::typed_addresses;
use super::mail::BoxHealth;
use crate::refusal::Refusal;
use m2_core::resolve::{self, NotFound};
use m2_crypto::address::Use;
use m2_crypto::mailbox::TokenSeed;
use m2_crypto::{PeerId, Secret};
use m2_proto::reason::Reason;
use m2_store::{GrantRow, MailboxPolicy, MailboxRow, MailboxState};
use m2_wire::mailbox::{BoxState, MAX_ADDRESSES, MAX_BOXES, Mailbox, OfferedBox};
use m2_wire::{InviteProof, Message};

/// A box of this daemon as front-ends see it.
#[derive(Debug, Clone)]
pub struct MailboxView {
    /// The stored row.
    pub row: MailboxRow,
    /// The current health.
    pub health: BoxHealth,
}

/// A request about a box of this daemon, or a report on one.
pub enum MailboxInput {
    /// Ask the provider that made an invitation for a box.
    Register(String, Reply<MailboxView>),
    /// Ask the provider with this peer id or prefix of it to delete a box.
    Remove(String, Reply<()>),
    /// Handle the state of the box in a row, from its provider.
    State(i64, BoxState, Reply<()>),
    /// Record that a provider registered the tokens of grants.
    TokensRegistered(Vec<GrantRow>, Reply<()>),
    /// Record the health of the box in a row.
    Health(i64, BoxHealth),
    /// Count a use of the invitation that a proof shows, in a session with this proof key, for a box
    /// at this daemon.
    UseInvitation {
        /// The session's proof key.
        proof_key: Secret<32>,
        /// The proof.
        proof: InviteProof,
        /// False if the invitation is not open.
        reply: Reply<bool>,
    },
}

impl Engine {
    /// Handles a request about a box, or a report on one.
    pub(super) fn on_mailbox(&mut self, input: MailboxInput) {
        match input {
            MailboxInput::Register(invitation, reply) => {
                self.run(reply, |it| it.register_mailbox(&invitation));
            }
            MailboxInput::Remove(provider, reply) => {
                self.run(reply, |it| it.remove_mailbox(&provider));
            }
            MailboxInput::State(row, state, reply) => {
                self.run(reply, |it| it.on_box_state(row, &state));
            }
            MailboxInput::TokensRegistered(grants, reply) => {
                self.run(reply, |it| it.tokens_registered(&grants));
            }
            MailboxInput::Health(row, health) => self.set_box_health(row, health),
            MailboxInput::UseInvitation {
                proof_key,
                proof,
                reply,
            } => self.run(reply, |it| it.use_invitation(&proof_key, proof)),
        }
    }

    /// Stores a request for a box at the provider that made an invitation.
    pub(crate) fn register_mailbox(&mut self, text: &str) -> Result<MailboxView, Refusal> {
        let invitation = parse_invitation(text)?;
        self.check_invitation(&invitation)?;
        let provider = *invitation.peer();
        let boxes = self.store.mailboxes()?;
        let known = boxes.iter().find(|row| row.provider == provider);
        if known.is_none() && boxes.len() >= MAX_BOXES {
            return Err(Refusal::limit(
                "mailboxes",
                MAX_BOXES,
                "mailboxes",
                "Remove one of them first.",
            ));
        }
        let mut addresses = typed_addresses(&invitation);
        addresses.truncate(MAX_ADDRESSES);
        if addresses.is_empty() {
            return Err(Refusal::because(
                Reason::InvitationInvalid,
                "The invitation names no address of the provider. Ask its operator for a new one.",
            ));
        }
        let mut row = MailboxRow {
            row: 0,
            provider,
            addresses,
            invite_token: Some(invitation.token().clone()),
            state: MailboxState::Asked,
            max_tokens: 0,
            created_ms: self.now_ms(),
        };
        row.row = self.store.put_mailbox(&row)?;
        self.wake_collectors();
        Ok(self.mailbox_view(row))
    }

    /// Lists this daemon's boxes.
    pub(crate) fn list_mailboxes(&mut self) -> Result<Vec<MailboxView>, Refusal> {
        let rows = self.store.mailboxes()?.into_iter();
        Ok(rows.map(|row| self.mailbox_view(row)).collect())
    }

    /// Asks the provider to delete a box. The request is kept until the provider is reached.
    pub(crate) fn remove_mailbox(&mut self, provider: &str) -> Result<(), Refusal> {
        let mut row = self.resolve_mailbox(provider)?;
        // A box that the provider refused, or whose removal was already requested, is forgotten at
        // once.
        if row.state == MailboxState::Leaving || row.state == MailboxState::Refused {
            return self.forget_mailbox(row.row);
        }
        row.state = MailboxState::Leaving;
        self.store.put_mailbox(&row)?;
        for grant in self.store.grants_of_mailbox(row.row)? {
            self.store.delete_grant(&grant)?;
            self.offer_mailboxes(grant.contact)?;
        }
        self.wake_collectors();
        Ok(())
    }

    fn forget_mailbox(&mut self, row: i64) -> Result<(), Refusal> {
        self.store.delete_mailbox(row)?;
        self.mail.health.remove(&row);
        self.wake_collectors();
        Ok(())
    }

    fn mailbox_view(&self, row: MailboxRow) -> MailboxView {
        let health = self.mail.health.get(&row.row).copied().unwrap_or_default();
        MailboxView { row, health }
    }

    /// Returns the box at the provider with this peer id or prefix of it.
    fn resolve_mailbox(&self, text: &str) -> Result<MailboxRow, Refusal> {
        let boxes = self.store.mailboxes()?.into_iter();
        let found = resolve::by_prefix(text, boxes.map(|row| (row.provider, row)));
        found.map_err(|error| match error {
            NotFound::Unknown => Refusal::new(Reason::MailboxUnknown),
            NotFound::Ambiguous => Refusal::new(Reason::MailboxAmbiguous),
        })
    }

    /// Creates or deletes a contact's grants to match its policy.
    pub(super) fn grant_or_withdraw(&mut self, contact: i64) -> Result<(), Refusal> {
        let wanted = self.mail.policy(contact).grants && self.is_contact(contact);
        let grants = self.store.grants_of_contact(contact)?;
        if !wanted {
            for grant in &grants {
                self.store.delete_grant(grant)?;
            }
            self.offer_mailboxes(contact)?;
        } else {
            for mailbox in self.store.mailboxes()? {
                let granted = grants.iter().any(|grant| grant.mailbox == mailbox.row);
                if mailbox.state == MailboxState::Open && !granted {
                    self.store.put_grant(&GrantRow {
                        contact,
                        mailbox: mailbox.row,
                        seed: TokenSeed::random(&mut self.rng),
                        first: 0,
                        next: 0,
                    })?;
                }
            }
        }
        self.wake_collectors();
        Ok(())
    }

    /// Deletes the grants, offers and letters of a peer that is no contact any more.
    pub(super) fn end_mail(&mut self, contact: i64) -> Result<(), Refusal> {
        if self.mail.policies.remove(&contact).is_some() {
            self.store
                .put_mailbox_policy(contact, MailboxPolicy::default())?;
            for grant in self.store.grants_of_contact(contact)? {
                self.store.delete_grant(&grant)?;
            }
            self.wake_collectors();
        }
        if self.mail.offered.remove(&contact) {
            self.store.replace_offers(contact, &[])?;
        }
        self.store.delete_letters_to(contact)?;
        self.mail.failures.remove(&contact);
        Ok(())
    }

    /// Handles a box state from its provider.
    pub(crate) fn on_box_state(&mut self, row: i64, state: &BoxState) -> Result<(), Refusal> {
        let boxes = self.store.mailboxes()?;
        let Some(mut mailbox) = boxes.into_iter().find(|mailbox| mailbox.row == row) else {
            return Ok(());
        };
        if mailbox.state == MailboxState::Leaving {
            return if state.open {
                Ok(())
            } else {
                self.forget_mailbox(row)
            };
        }
        mailbox.state = if state.open {
            MailboxState::Open
        } else {
            MailboxState::Refused
        };
        mailbox.max_tokens = state.max_tokens;
        mailbox.invite_token = None;
        self.store.put_mailbox(&mailbox)?;
        if state.open {
            let granting = self
                .mail
                .policies
                .iter()
                .filter(|(_, policy)| policy.grants);
            let contacts: Vec<i64> = granting.map(|(contact, _)| *contact).collect();
            for contact in contacts {
                self.grant_or_withdraw(contact)?;
            }
        }
        Ok(())
    }

    /// Returns the grants of contacts that may deposit into a box.
    pub(crate) fn mailbox_grants(&mut self, row: i64) -> Result<Vec<GrantRow>, Refusal> {
        Ok(self.store.grants_of_mailbox(row)?)
    }

    /// Records that a provider registered the tokens of these grants. Contacts that could not
    /// deposit before get an offer.
    pub(crate) fn tokens_registered(&mut self, grants: &[GrantRow]) -> Result<(), Refusal> {
        for grant in grants {
            let stored = self.store.grants_of_contact(grant.contact)?;
            let Some(before) = stored.iter().find(|row| {
                row.mailbox == grant.mailbox && row.seed.expose() == grant.seed.expose()
            }) else {
                continue;
            };
            self.store.put_grant(grant)?;
            if before.next == 0 {
                self.offer_mailboxes(grant.contact)?;
            }
        }
        Ok(())
    }

    /// Records the health of a box.
    pub(crate) fn set_box_health(&mut self, row: i64, health: BoxHealth) {
        self.mail.health.insert(row, health);
    }

    /// Sends a contact the boxes into which it may deposit, on its session. The offer may be empty.
    pub(super) fn offer_mailboxes(&mut self, contact: i64) -> Result<(), Refusal> {
        let Some(link) = self.serving(contact) else {
            return Ok(());
        };
        let boxes = self.store.mailboxes()?;
        let mut offers = Vec::new();
        for grant in self.store.grants_of_contact(contact)? {
            let mailbox = boxes.iter().find(|mailbox| mailbox.row == grant.mailbox);
            let Some(mailbox) = mailbox.filter(|_| grant.next > 0) else {
                continue;
            };
            let addresses = self.shareable_addresses(&mailbox.addresses);
            if !addresses.is_empty() {
                offers.push(OfferedBox {
                    provider: mailbox.provider,
                    addresses,
                    seed: grant.seed,
                });
            }
        }
        let frame = Message::Mailbox(Box::new(Mailbox::Offer(offers)));
        self.push_frame(link.id, frame);
        Ok(())
    }

    /// Offers boxes in a new session to a contact with a mailbox policy.
    pub(super) fn offer_on_meeting(&mut self, contact: i64) -> Result<(), Refusal> {
        if self.mail.policies.contains_key(&contact) {
            self.offer_mailboxes(contact)?;
        }
        Ok(())
    }

    /// Stores the boxes that a contact offers.
    pub(super) fn on_offer(
        &mut self,
        contact: i64,
        mut boxes: Vec<OfferedBox>,
    ) -> Result<(), Refusal> {
        for offered in &mut boxes {
            let named = std::mem::take(&mut offered.addresses);
            offered.addresses = self.usable(named, Use::Service);
        }
        boxes.retain(|offered| !offered.addresses.is_empty());
        let before = self.store.offers(contact)?;
        let same = before.len() == boxes.len()
            && before
                .iter()
                .zip(&boxes)
                .all(|(row, new)| row.offered == *new);
        if same {
            return Ok(());
        }
        self.store.replace_offers(contact, &boxes)?;
        // The earlier tokens may be invalid now.
        self.store.unplace_letters(contact)?;
        if boxes.is_empty() {
            self.mail.offered.remove(&contact);
            self.store.delete_letters_to(contact)?;
        } else {
            self.mail.offered.insert(contact);
            let now = self.now_ms();
            self.mail.note(now);
            self.wake_depositor();
        }
        Ok(())
    }

    /// Returns whether a peer is a provider of this daemon.
    pub(crate) fn is_provider(&mut self, peer: &PeerId) -> Result<bool, Refusal> {
        let boxes = self.store.mailboxes()?;
        Ok(boxes.iter().any(|row| row.provider == *peer))
    }
}
