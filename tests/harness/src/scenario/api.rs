//! A concise client for the API of one daemon.

use super::{Events, eventually};
use crate::harness::Daemon;
use anyhow::Context as _;
use m2_proto::api::v1::send_message_request::Content;
use m2_proto::api::v1::*;
use m2_proto::client::Client;
use m2_proto::reason;
use m2_proto::token::Token;
use std::path::Path;
use tonic::Status;

/// The page size when a whole conversation is read.
const PAGE: u32 = 1_000;

/// A connection to a daemon, with the calls that scenario tests make most.
#[derive(Debug, Clone)]
pub struct Api(Client);

impl Api {
    /// Connects to a daemon.
    ///
    /// Errors: the daemon does not respond.
    pub async fn of(daemon: &Daemon) -> anyhow::Result<Self> {
        Self::at(&daemon.socket()).await
    }

    /// Connects to the daemon at a socket.
    ///
    /// Errors: the daemon does not respond.
    pub async fn at(socket: &Path) -> anyhow::Result<Self> {
        Ok(Self(Client::connect(socket).await?))
    }

    /// Returns the same connection with an access token in each call.
    #[must_use]
    pub fn with_token(&self, token: Token) -> Self {
        Self(self.0.clone().with_token(token))
    }

    /// Returns the full client with all services.
    pub fn client(&self) -> &Client {
        &self.0
    }

    /// Sends a text. Returns the message's id.
    pub async fn send(&self, contact: &str, text: &str) -> Result<String, Status> {
        let request = Self::text(contact, text);
        Ok(self.send_request(request).await?.message_id)
    }

    /// Sends the message of a request.
    pub async fn send_request(
        &self,
        request: SendMessageRequest,
    ) -> Result<SendMessageResponse, Status> {
        let answer = self.0.messages().send_message(request).await?;
        Ok(answer.into_inner())
    }

    /// Returns a request that sends a text.
    pub fn text(contact: &str, text: &str) -> SendMessageRequest {
        SendMessageRequest {
            contact: contact.to_owned(),
            content: Some(Content::Text(text.to_owned())),
            ..Default::default()
        }
    }

    /// Returns one message.
    pub async fn message(&self, id: &str) -> Result<Message, Status> {
        let message_id = id.to_owned();
        let request = GetMessageRequest { message_id };
        let answer = self.0.messages().get_message(request).await?.into_inner();
        answer.message.ok_or_else(|| Status::internal("no message"))
    }

    /// Waits until a message has reached a state.
    ///
    /// Errors: the message is unknown, or does not reach the state in time.
    pub async fn await_message(&self, id: &str, state: MessageState) -> anyhow::Result<Message> {
        eventually(&format!("a message that is {state:?}"), async || {
            let message = self.message(id).await?;
            Ok((message.state() == state).then_some(message))
        })
        .await
    }

    /// Returns a whole conversation, oldest message first.
    pub async fn conversation(&self, contact: &str) -> Result<Vec<Message>, Status> {
        let mut all: Vec<Message> = Vec::new();
        let mut before = String::new();
        loop {
            let request = ListMessagesRequest {
                contact: contact.to_owned(),
                limit: PAGE,
                before,
                ..Default::default()
            };
            let answer = self.0.messages().list_messages(request).await?;
            let page = answer.into_inner();
            all.extend(page.messages);
            before = page.next;
            if before.is_empty() {
                all.reverse();
                return Ok(all);
            }
        }
    }

    /// Returns one page of a conversation, newest message first.
    pub async fn page(
        &self,
        contact: &str,
        limit: u32,
        before: &str,
    ) -> Result<Vec<Message>, Status> {
        let request = ListMessagesRequest {
            contact: contact.to_owned(),
            limit,
            before: before.to_owned(),
            ..Default::default()
        };
        let answer = self.0.messages().list_messages(request).await?;
        Ok(answer.into_inner().messages)
    }

    /// Returns the texts of the received messages of a conversation, oldest first.
    pub async fn received(&self, contact: &str) -> Result<Vec<String>, Status> {
        let messages = self.conversation(contact).await?.into_iter();
        let received = messages.filter(|message| message.direction() == Direction::Received);
        Ok(received.map(|message| message.text).collect())
    }

    /// Waits until a text has been received.
    ///
    /// Errors: the contact is unknown, or the text does not arrive in time.
    pub async fn await_text(&self, contact: &str, text: &str) -> anyhow::Result<Message> {
        eventually(&format!("the text {text:.40}"), async || {
            let messages = self.page(contact, PAGE, "").await?.into_iter();
            Ok(messages
                .filter(|message| message.direction() == Direction::Received)
                .find(|message| message.text == text))
        })
        .await
    }

    /// Returns the messages that contain all the words.
    pub async fn search(&self, words: &str) -> Result<Vec<Message>, Status> {
        let request = SearchMessagesRequest {
            text: words.to_owned(),
            ..Default::default()
        };
        let answer = self.0.messages().search_messages(request).await?;
        Ok(answer.into_inner().messages)
    }

    /// Creates an invitation. Returns its text.
    pub async fn invite(&self, reusable: bool, contact_name: &str) -> Result<String, Status> {
        let request = CreateInvitationRequest {
            reusable,
            contact_name: contact_name.to_owned(),
            ..Default::default()
        };
        let answer = self.0.invitations().create_invitation(request).await?;
        Ok(answer.into_inner().uri)
    }

    /// Accepts an invitation, and gives the contact this name.
    pub async fn add(&self, invitation: &str, name: &str) -> Result<Contact, Status> {
        let request = AddContactRequest {
            invitation: invitation.to_owned(),
            name: name.to_owned(),
        };
        let answer = self.0.contacts().add_contact(request).await?.into_inner();
        answer.contact.ok_or_else(|| Status::internal("no contact"))
    }

    /// Returns one contact.
    pub async fn contact(&self, contact: &str) -> Result<Contact, Status> {
        let contact = contact.to_owned();
        let request = GetContactRequest { contact };
        let answer = self.0.contacts().get_contact(request).await?.into_inner();
        answer.contact.ok_or_else(|| Status::internal("no contact"))
    }

    /// Waits until a contact exists and is in a state.
    ///
    /// Errors: the daemon does not respond, or the contact does not reach the state in time.
    pub async fn await_state(&self, name: &str, state: ContactState) -> anyhow::Result<Contact> {
        eventually(&format!("{name} to be {state:?}"), async || {
            match self.contact(name).await {
                Ok(contact) => Ok((contact.state() == state).then_some(contact)),
                Err(status) if is(&status, reason::Reason::ContactUnknown) => Ok(None),
                Err(status) => Err(status.into()),
            }
        })
        .await
    }

    /// Returns all contacts in a state.
    pub async fn contacts(&self, state: ContactState) -> Result<Vec<Contact>, Status> {
        let request = ListContactsRequest {
            state: state.into(),
            ..Default::default()
        };
        let answer = self.0.contacts().list_contacts(request).await?;
        Ok(answer.into_inner().contacts)
    }

    /// Subscribes to all events from the oldest on, as a named client.
    pub async fn events_from_start(&self, client: &str) -> Result<Events, Status> {
        self.subscribe(SubscribeRequest {
            client: client.to_owned(),
            start_at: StartAt::Start.into(),
            ..Default::default()
        })
        .await
    }

    /// Subscribes to events from a named client's cursor on; to new events only if the name is
    /// empty or new.
    pub async fn events(&self, client: &str) -> Result<Events, Status> {
        let client = client.to_owned();
        self.subscribe(SubscribeRequest {
            client,
            ..Default::default()
        })
        .await
    }

    /// Subscribes to all events from the oldest on.
    pub async fn all_events(&self) -> Result<Events, Status> {
        self.subscribe(SubscribeRequest {
            start_at: StartAt::Start.into(),
            ..Default::default()
        })
        .await
    }

    /// Subscribes with the given request.
    pub async fn subscribe(&self, request: SubscribeRequest) -> Result<Events, Status> {
        let answer = self.0.events().subscribe(request).await?;
        Ok(Events::new(answer.into_inner()))
    }

    /// Acknowledges events: advances a named client's cursor.
    pub async fn acknowledge(&self, client: &str, cursor: &str) -> Result<(), Status> {
        let request = AcknowledgeEventsRequest {
            client: client.to_owned(),
            cursor: cursor.to_owned(),
        };
        self.0.events().acknowledge_events(request).await?;
        Ok(())
    }

    /// Reads the event log from its oldest entry to its newest.
    ///
    /// Errors: a call fails, or the stream ends.
    pub async fn log(&self) -> anyhow::Result<Vec<Event>> {
        let mut events = self.all_events().await?;
        let silence = std::time::Duration::from_secs(2);
        events.rest(silence).await.context("the event log")
    }

    /// Returns the daemon's status.
    pub async fn status(&self) -> Result<GetStatusResponse, Status> {
        let answer = self.0.daemon().get_status(GetStatusRequest {}).await?;
        Ok(answer.into_inner())
    }

    /// Waits until the outbox is empty.
    ///
    /// Errors: the daemon does not respond, or the outbox does not become empty in time.
    pub async fn await_empty_outbox(&self) -> anyhow::Result<()> {
        eventually("an empty outbox", async || {
            let status = self.status().await?;
            Ok((status.queued_messages == Some(0)).then_some(()))
        })
        .await
    }
}

/// Returns the value of a daemon's counter, from its counts of refusals or of other events; 0 if
/// the counter is missing.
pub fn counted(status: &GetStatusResponse, name: &str) -> u64 {
    let of = |counts: &std::collections::BTreeMap<String, u64>| counts.get(name).copied();
    of(&status.refused).or(of(&status.counts)).unwrap_or(0)
}

/// Returns whether an error has this reason.
fn is(status: &Status, wanted: reason::Reason) -> bool {
    reason::Reason::of(status) == Some(wanted)
}
