//! Requests to daemons of the simulated world, as front-ends make them.

use super::daemon::End;
use super::network::World;
use m2_core::ContactState;
use m2_crypto::address::NamedAddress;
use m2_delivery::Content;
use m2_engine::{
    ContactRequest, ContactView, InvitationRequest, MessageRequest, NewInvitation, NewMessage,
    Refusal,
};
use tokio::sync::oneshot::Receiver;

impl World {
    /// Returns the answer to a request once its batch has run.
    pub(crate) fn answer<T>(
        &mut self,
        daemon: usize,
        mut asked: Receiver<Result<T, Refusal>>,
    ) -> Result<T, Refusal> {
        self.run(daemon, End::Whole);
        asked.try_recv().unwrap()
    }

    pub(crate) fn invitation(&mut self, host: usize, contact_name: &str) -> String {
        self.make_invitation(host, contact_name, Vec::new())
    }

    /// Returns an invitation that names an address.
    pub(crate) fn invitation_at(&mut self, host: usize, address: &str) -> String {
        self.make_invitation(host, "", vec![address.parse().unwrap()])
    }

    pub(crate) fn make_invitation(
        &mut self,
        host: usize,
        contact_name: &str,
        addresses: Vec<NamedAddress>,
    ) -> String {
        let new = NewInvitation {
            reusable: false,
            valid_ms: 86_400_000,
            contact_name: contact_name.to_owned(),
            addresses,
        };
        let made = self.daemons[host].ask(|reply| InvitationRequest::Create(new, reply));
        self.answer(host, made).unwrap().1.to_string()
    }

    pub(crate) fn add(
        &mut self,
        guest: usize,
        invitation: String,
        name: &str,
    ) -> Result<ContactView, Refusal> {
        let name = name.to_owned();
        let added = self.daemons[guest].ask(|reply| ContactRequest::Add {
            invitation,
            name,
            reply,
        });
        self.answer(guest, added)
    }

    /// Makes two daemons contacts.
    pub(crate) fn introduce(&mut self, host: usize, guest: usize) {
        let invitation = self.invitation(host, "");
        self.add(guest, invitation, "").unwrap();
        self.settle();
        assert_eq!(self.states(host, guest), [ContactState::Contact; 2]);
    }

    pub(crate) fn state(&mut self, daemon: usize, peer: usize) -> Option<ContactState> {
        let peer = self.id(peer);
        let view = self.daemons[daemon].contact(peer);
        view.ok().map(|view| view.row.state)
    }

    pub(crate) fn states(&mut self, one: usize, other: usize) -> [ContactState; 2] {
        [(one, other), (other, one)].map(|(daemon, peer)| self.state(daemon, peer).unwrap())
    }

    pub(crate) fn say(&mut self, from: usize, to: usize, text: &str) -> Result<[u8; 16], Refusal> {
        let message = NewMessage {
            contact: self.id(to).to_string(),
            content: Content::new("", text.to_owned()).unwrap(),
            ttl_s: 0,
            caller: String::new(),
            key: String::new(),
        };
        let sent = self.daemons[from].ask(|reply| MessageRequest::Send(message, reply));
        self.answer(from, sent).map(|sent| sent.id)
    }

    pub(crate) fn texts(&mut self, daemon: usize, peer: usize) -> Vec<String> {
        let peer = self.id(peer);
        let messages = self.daemons[daemon].messages(peer).into_iter();
        let contents = messages.map(|message| message.content.unwrap_or_default());
        contents
            .map(|text| String::from_utf8(text).unwrap())
            .collect()
    }

    pub(crate) fn change(
        &mut self,
        daemon: usize,
        peer: usize,
        request: fn(String, m2_engine::Reply<()>) -> ContactRequest,
    ) -> Result<(), Refusal> {
        let peer = self.id(peer).to_string();
        let asked = self.daemons[daemon].ask(|reply| request(peer, reply));
        self.answer(daemon, asked)
    }
}
