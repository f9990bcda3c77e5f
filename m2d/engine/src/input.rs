//! What reaches the engine: requests of front-ends, events of the daemon's tasks, and queries.

use crate::backups::BackupOutcome;
use crate::event_filter::EventFilter;
use crate::reply::Reply;
use crate::sessions::SessionInput;
use crate::settings::Tunable;
use crate::{
    access, clients, contact_paths, contact_view, contacts, invitations, letters, lines, lookup,
    mailboxes, near, presence, privacy_facts, sending, shared, summary,
};
use m2_core::address_budget::Level;
use m2_core::{ContactState, PathFailure};
use m2_crypto::{PeerId, Secret};
use m2_store::InvitationRow;
use m2_wire::InviteProof;

/// An input that may write. It is processed in a batch. Like all types here it can't be printed, as it
/// holds texts and invitations.
pub enum Input {
    /// A request about access tokens.
    Access(access::AccessRequest),
    /// A request about a contact.
    Contact(contacts::ContactRequest),
    /// A request about an invitation.
    Invitation(invitations::InvitationRequest),
    /// A request about a message.
    Message(sending::MessageRequest),
    /// A request about a stream of events.
    Stream(clients::StreamRequest),
    /// A request about a name that workers share.
    Shared(shared::SharedRequest),
    /// A request about a relay of this daemon, or a report on one.
    Line(lines::LineInput),
    /// A request about a box of this daemon, or a report on one.
    Mailbox(mailboxes::MailboxInput),
    /// What became of a backup.
    Backup(BackupOutcome, Reply<()>),
    /// A step in the delivery of a letter.
    Letter(letters::LetterInput),
    /// An event of a session.
    Session(SessionInput),
    /// A dial ended without a session.
    DialFailed {
        /// The peer.
        peer: PeerId,
        /// The reason.
        reason: PathFailure,
    },
    /// What is left of a contact's budget for dialling addresses that it named.
    BudgetLeft(Level),
    /// Look-up found a peer.
    Found(lookup::Discovery),
    /// A session with a peer was completed under a higher suite than the required one. Its number.
    HigherSuite(PeerId, u16),
    /// New settings.
    Tune(Box<Tunable>, Reply<()>),
    /// A question whether the engine works. It is answered once a batch was committed to the store.
    Probe(Reply<()>),
}

impl From<access::AccessRequest> for Input {
    fn from(input: access::AccessRequest) -> Self {
        Self::Access(input)
    }
}

impl From<contacts::ContactRequest> for Input {
    fn from(input: contacts::ContactRequest) -> Self {
        Self::Contact(input)
    }
}

impl From<invitations::InvitationRequest> for Input {
    fn from(input: invitations::InvitationRequest) -> Self {
        Self::Invitation(input)
    }
}

impl From<sending::MessageRequest> for Input {
    fn from(input: sending::MessageRequest) -> Self {
        Self::Message(input)
    }
}

impl From<clients::StreamRequest> for Input {
    fn from(input: clients::StreamRequest) -> Self {
        Self::Stream(input)
    }
}

impl From<shared::SharedRequest> for Input {
    fn from(input: shared::SharedRequest) -> Self {
        Self::Shared(input)
    }
}

impl From<lines::LineInput> for Input {
    fn from(input: lines::LineInput) -> Self {
        Self::Line(input)
    }
}

impl From<mailboxes::MailboxInput> for Input {
    fn from(input: mailboxes::MailboxInput) -> Self {
        Self::Mailbox(input)
    }
}

impl From<letters::LetterInput> for Input {
    fn from(input: letters::LetterInput) -> Self {
        Self::Letter(input)
    }
}

impl From<SessionInput> for Input {
    fn from(input: SessionInput) -> Self {
        Self::Session(input)
    }
}

/// A query. It changes nothing, and is answered from the committed state, also while the store
/// can't be written.
pub enum Query {
    /// One contact, by its name, its peer id, or a prefix of that.
    Contact(String, Reply<contact_view::ContactView>),
    /// The peer ids of contacts, each given as in [`Query::Contact`].
    PeerIds(Vec<String>, Reply<Vec<PeerId>>),
    /// A page of contacts, by name.
    Contacts {
        /// The state of the contacts; `None` for all that are not removed.
        state: Option<ContactState>,
        /// The name after which the page begins.
        after: String,
        /// The most contacts of the page.
        limit: usize,
        /// The page, and whether there are more.
        reply: Reply<(Vec<contact_view::ContactView>, bool)>,
    },
    /// The presence of the contacts that a filter selects.
    Presence(EventFilter, Reply<presence::PresenceView>),
    /// The totals for status output.
    Summary(Reply<summary::Summary>),
    /// The counts that determine what an observer can see.
    PrivacyFacts(Reply<privacy_facts::PrivacyFacts>),
    /// The paths to a contact.
    PathsTo(String, Reply<contact_paths::ContactPaths>),
    /// The paths to all contacts.
    AllPaths(Reply<Vec<contact_paths::ContactPaths>>),
    /// The open invitations.
    Invitations(Reply<Vec<InvitationRow>>),
    /// Whether a proof, made in a session with this proof key, shows an open invitation.
    IsInvited {
        /// The session's proof key.
        proof_key: Secret<32>,
        /// The proof.
        proof: InviteProof,
        /// The answer.
        reply: Reply<bool>,
    },
    /// This daemon's boxes.
    Mailboxes(Reply<Vec<mailboxes::MailboxView>>),
    /// Whether a peer is a provider of this daemon.
    IsProvider(PeerId, Reply<bool>),
    /// This daemon's relays.
    Lines(Reply<Vec<lines::LineView>>),
    /// The records to publish for a UTC day.
    Publications(u32, Reply<Vec<lookup::PresencePlan>>),
    /// The peers to look up.
    Sought(Reply<Vec<lookup::LookupTarget>>),
    /// The peers whose announcements in the local network are recognised.
    Near(Reply<Vec<near::Near>>),
}
