//! Requests of front-ends about contacts.

use crate::contact_view::ContactView;
use crate::policy::PolicyChange;
use crate::reply::Reply;
use crate::state::State;
use crate::{call, policy};

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

/// Handles a request about a contact.
pub(crate) fn handle(engine: &mut State, request: ContactRequest) {
    match request {
        ContactRequest::Add {
            invitation,
            name,
            reply,
        } => call::run(engine, reply, |engine| {
            super::add(engine, &invitation, &name)
        }),
        ContactRequest::Rename {
            contact,
            name,
            reply,
        } => call::run(engine, reply, |engine| {
            super::rename(engine, &contact, &name)
        }),
        ContactRequest::Accept {
            contact,
            name,
            reply,
        } => call::run(engine, reply, |engine| {
            super::accept(engine, &contact, &name)
        }),
        ContactRequest::Decline(contact, reply) => {
            call::run(engine, reply, |engine| super::decline(engine, &contact));
        }
        ContactRequest::Block(contact, reply) => {
            call::run(engine, reply, |engine| super::block(engine, &contact));
        }
        ContactRequest::Remove {
            contact,
            history,
            reply,
        } => call::run(engine, reply, |engine| {
            super::remove(engine, &contact, history)
        }),
        ContactRequest::Verify {
            contact,
            matched,
            reply,
        } => call::run(engine, reply, |engine| {
            super::verify(engine, &contact, matched)
        }),
        ContactRequest::SetPolicy {
            contact,
            change,
            reply,
        } => call::run(engine, reply, |engine| {
            policy::set(engine, &contact, change)
        }),
    }
}
