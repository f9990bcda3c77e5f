//! What reaches the engine: requests of front-ends, events of the daemon's tasks, and queries.

use super::{Effect, Engine, Refusal, SessionInput, is_sent_once};
use super::{clients, contacts, invitations, letters, lines, lookup, mailboxes, near, sending};
use super::{contact_paths, summary};
use m2_core::ContactState;
use m2_core::address_budget::Level;
use m2_crypto::PeerId;
use m2_crypto::Secret;
use m2_store::{GrantRow, InvitationRow, LineRow};
use m2_wire::{CloseCode, InviteProof};
use tokio::sync::oneshot;

/// An input that may write. It is processed in a batch. Like all types here it can't be printed, as it
/// holds texts and invitations.
pub enum Input {
    /// A request about a contact.
    Contact(contacts::ContactRequest),
    /// A request about an invitation.
    Invitation(invitations::InvitationRequest),
    /// A request about a message.
    Message(sending::MessageRequest),
    /// A request about a stream of events.
    Stream(clients::StreamRequest),
    /// A request about a relay of this daemon, or a report on one.
    Line(lines::LineInput),
    /// A request about a box of this daemon, or a report on one.
    Mailbox(mailboxes::MailboxInput),
    /// A step in the delivery of a letter.
    Letter(letters::LetterInput),
    /// An event of a session.
    Session(SessionInput),
    /// A dial ended without a session.
    DialFailed {
        /// The peer.
        peer: PeerId,
        /// The stable reason.
        reason: &'static str,
    },
    /// What is left of a contact's budget for dialling addresses that it named.
    BudgetLeft(Level),
    /// Look-up found a peer.
    Found(lookup::Discovery),
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
    Contact(String, Reply<contacts::ContactView>),
    /// A page of contacts, by name.
    Contacts {
        /// The state of the contacts; `None` for all that are not removed.
        state: Option<ContactState>,
        /// The name after which the page begins.
        after: String,
        /// The most contacts of the page.
        limit: usize,
        /// The page, and whether there are more.
        reply: Reply<(Vec<contacts::ContactView>, bool)>,
    },
    /// The totals for status output.
    Summary(Reply<summary::Summary>),
    /// The counts that determine what an observer can see.
    PrivacyFacts(Reply<lines::PrivacyFacts>),
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
    /// The grants of contacts that may deposit into a box.
    MailboxGrants(i64, Reply<Vec<GrantRow>>),
    /// Whether a peer is a provider of this daemon.
    IsProvider(PeerId, Reply<bool>),
    /// This daemon's relays.
    Lines(Reply<Vec<lines::LineView>>),
    /// This daemon's relays, and the lines that should be open at them now.
    OpenLines(Reply<(Vec<LineRow>, lines::OpenLines)>),
    /// The records to publish for a UTC day.
    Publications(u32, Reply<Vec<lookup::PresencePlan>>),
    /// The peers to look up.
    Sought(Reply<Vec<lookup::LookupTarget>>),
    /// The peers whose announcements in the local network are recognised.
    Near(Reply<Vec<near::Near>>),
}

/// The place for the answer to an input.
#[derive(Debug)]
pub struct Reply<T>(oneshot::Sender<Result<T, Refusal>>);

/// An answer that is delivered once its batch is on disk.
pub struct Held(
    Box<dyn FnOnce(Result<(), Refusal>) + Send>,
    Result<(), Refusal>,
);

impl<T: Send + 'static> Reply<T> {
    /// Returns a place for an answer, and its receiving end.
    pub fn channel() -> (Self, oneshot::Receiver<Result<T, Refusal>>) {
        let (sender, receiver) = oneshot::channel();
        (Self(sender), receiver)
    }

    fn send(self, answer: Result<T, Refusal>) {
        // The caller may not wait any more.
        let _ = self.0.send(answer);
    }

    /// Combines the result of a request with that of its batch. A refused request keeps its own
    /// reason, whether or not the batch was committed.
    fn hold(self, result: Result<T, Refusal>) -> Held {
        let deliver = move |committed: Result<(), Refusal>| match result {
            Err(refusal) if refusal.fault.is_none() => self.send(Err(refusal)),
            result => self.send(committed.and(result)),
        };
        Held(Box::new(deliver), Ok(()))
    }
}

impl Held {
    /// Delivers the answer.
    pub fn deliver(self) {
        (self.0)(self.1);
    }

    /// Returns the answer for a batch that was rolled back.
    pub(crate) fn refused(self, refusal: Refusal) -> Self {
        Self(self.0, Err(refusal))
    }
}

impl Engine {
    /// Processes an input in the current batch.
    pub fn handle(&mut self, input: Input) {
        match input {
            Input::Contact(request) => self.on_contact(request),
            Input::Invitation(request) => self.on_invitation(request),
            Input::Message(request) => self.on_message_request(request),
            Input::Stream(request) => self.on_stream(request),
            Input::Line(input) => self.on_line(input),
            Input::Mailbox(input) => self.on_mailbox(input),
            Input::Letter(input) => self.on_letter(input),
            Input::Session(input) => self.on_session(input),
            Input::DialFailed { peer, reason } => self.on_dial_failed(&peer, reason),
            Input::BudgetLeft(left) => self.save_budget(&left),
            Input::Found(finding) => self.take_finding(finding),
        }
    }

    /// Drops an input that can't be processed, as the store can't be written. Its caller learns so
    /// from the driver.
    pub fn refuse(&mut self, input: Input) {
        match input {
            // A frame that is sent once per session is lost with it.
            Input::Session(SessionInput::Frame(id, message, _)) if is_sent_once(&message) => {
                let lost = Effect::Close(id, CloseCode::Replaced);
                self.effects.push_back(lost);
            }
            // The session is dropped when the state is read again.
            Input::Session(SessionInput::Down(end, _)) => self.over.push(end.id),
            Input::Session(SessionInput::Silent(id)) => self.set_doubt(id, true),
            Input::Session(SessionInput::Heard(id)) => self.set_doubt(id, false),
            // Its peer is dialled when the state is read again.
            Input::Session(SessionInput::Old(id)) => self.mark_stale(id),
            Input::Session(SessionInput::StillSilent(ids)) => {
                ids.into_iter().for_each(|id| self.mark_stale(id));
            }
            _ => {}
        }
    }

    /// Answers a query, after a batch or between two.
    pub fn answer(&mut self, query: Query) {
        match query {
            Query::Contact(name, reply) => self.tell(reply, |it| it.get_contact(&name)),
            Query::Contacts {
                state,
                after,
                limit,
                reply,
            } => self.tell(reply, |it| it.list_contacts(state, &after, limit)),
            Query::Summary(reply) => self.tell(reply, |it| it.summary()),
            Query::PrivacyFacts(reply) => self.tell(reply, Self::privacy_facts),
            Query::PathsTo(contact, reply) => self.tell(reply, |it| it.paths_to(&contact)),
            Query::AllPaths(reply) => self.tell(reply, Self::all_paths),
            Query::Invitations(reply) => self.tell(reply, Self::list_invitations),
            Query::IsInvited {
                proof_key,
                proof,
                reply,
            } => self.tell(reply, |it| it.is_invited(&proof_key, proof)),
            Query::Mailboxes(reply) => self.tell(reply, Self::list_mailboxes),
            Query::MailboxGrants(row, reply) => self.tell(reply, |it| it.mailbox_grants(row)),
            Query::IsProvider(peer, reply) => self.tell(reply, |it| it.is_provider(&peer)),
            Query::Lines(reply) => self.tell(reply, Self::list_lines),
            Query::OpenLines(reply) => self.tell(reply, Self::lines_to_open),
            Query::Publications(day, reply) => self.tell(reply, |it| it.publications(day)),
            Query::Sought(reply) => self.tell(reply, Self::sought),
            Query::Near(reply) => self.tell(reply, Self::near),
        }
    }

    /// Runs a query on the committed state, and answers it.
    fn tell<T: Send + 'static>(
        &mut self,
        reply: Reply<T>,
        query: impl FnOnce(&mut Self) -> Result<T, Refusal>,
    ) {
        let answer = self.refreshed().and_then(|()| query(self));
        let answer = self.store_failed.take().map_or(answer, Err);
        reply.send(answer);
    }

    /// Runs a request. Its caller is answered once the batch is on disk.
    pub(crate) fn run<T: Send + 'static>(
        &mut self,
        reply: Reply<T>,
        request: impl FnOnce(&mut Self) -> Result<T, Refusal>,
    ) {
        let before = self.store.changes();
        let result = request(self);
        if let Err(refusal) = &result {
            if refusal.fault.is_some() {
                // Partial writes of a failed request must not be committed.
                self.fail_batch(refusal.clone());
            } else if self.store.changes() != before {
                // A request must check everything before it writes. One that does not is rolled
                // back with its batch instead of being left half done.
                self.counters.count("REQUEST_HALF_DONE");
                self.fail_batch(Refusal::new(m2_proto::reason::Reason::StoreFailed));
            }
        }
        self.effect(Effect::Answer(reply.hold(result)));
    }
}
