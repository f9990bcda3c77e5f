//! Requests of front-ends about contacts.

use crate::input::Reply;
use crate::{ContactView, Engine, PolicyChange};

/// A request about a contact. A contact is named by its name, its peer id, or a prefix of that.
pub enum ContactRequest {
    /// Ask an inviter to become a contact.
    Add {
        /// The invitation.
        invitation: String,
        /// The contact's name; empty for its suggested name or its id.
        name: String,
        /// The new contact.
        reply: Reply<ContactView>,
    },
    /// Rename a contact.
    Rename {
        /// The contact.
        contact: String,
        /// Its new name.
        name: String,
        /// The renamed contact.
        reply: Reply<ContactView>,
    },
    /// Accept a request.
    Accept {
        /// The contact.
        contact: String,
        /// Its name; empty for its suggested name or its id.
        name: String,
        /// The new contact.
        reply: Reply<ContactView>,
    },
    /// Decline a request.
    Decline(String, Reply<()>),
    /// Block a peer, known or not.
    Block(String, Reply<()>),
    /// Remove a contact.
    Remove {
        /// The contact.
        contact: String,
        /// True if its messages are erased.
        history: bool,
        /// Confirms the request.
        reply: Reply<()>,
    },
    /// Return the verification code, and whether the user confirmed it.
    Verify {
        /// The contact.
        contact: String,
        /// Sets the confirmation.
        matched: Option<bool>,
        /// The code, and whether the user confirmed it.
        reply: Reply<(String, bool)>,
    },
    /// Set the policy of a contact.
    SetPolicy {
        /// The contact.
        contact: String,
        /// The changes.
        change: PolicyChange,
        /// The changed contact.
        reply: Reply<ContactView>,
    },
}

impl Engine {
    /// Handles a request about a contact.
    pub(crate) fn on_contact(&mut self, request: ContactRequest) {
        match request {
            ContactRequest::Add {
                invitation,
                name,
                reply,
            } => self.run(reply, |it| it.add_contact(&invitation, &name)),
            ContactRequest::Rename {
                contact,
                name,
                reply,
            } => self.run(reply, |it| it.rename_contact(&contact, &name)),
            ContactRequest::Accept {
                contact,
                name,
                reply,
            } => self.run(reply, |it| it.accept_contact(&contact, &name)),
            ContactRequest::Decline(contact, reply) => {
                self.run(reply, |it| it.decline_contact(&contact));
            }
            ContactRequest::Block(contact, reply) => {
                self.run(reply, |it| it.block_contact(&contact));
            }
            ContactRequest::Remove {
                contact,
                history,
                reply,
            } => self.run(reply, |it| it.remove_contact(&contact, history)),
            ContactRequest::Verify {
                contact,
                matched,
                reply,
            } => self.run(reply, |it| it.verify_contact(&contact, matched)),
            ContactRequest::SetPolicy {
                contact,
                change,
                reply,
            } => self.run(reply, |it| it.set_policy(&contact, change)),
        }
    }
}
