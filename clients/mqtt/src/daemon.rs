//! The daemon: its events, its contacts, and calls.

mod convert;

use crate::bridge::{Happening, Input, Kind, Peer, Sent};
use crate::settings::Settings;
use m2_limits::backoff::Backoff;
use m2_proto::api::v1::send_message_request::Content;
use m2_proto::api::v1::{
    AcknowledgeEventsRequest, Contact, ContactState, ListContactsRequest, MarkReadRequest,
    SendMessageRequest, SubscribeRequest, SubscribeResponse,
};
use m2_proto::client::{Client, ConnectError};
use m2_proto::reason::Reason;
use m2_proto::socket;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::{interval, sleep, timeout};
use tonic::{Status, Streaming};

/// How often the list of contacts is read, for new names.
const CONTACTS_EVERY: Duration = Duration::from_secs(30);
/// How often the stream says how far it has come.
const HEARTBEAT_S: i64 = 60;
/// The most contacts that are read: more than have devices.
const MAX_CONTACTS: usize = 2_000;
/// How long the daemon may take for a call.
const CALL_TIMEOUT: Duration = Duration::from_secs(30);
const PAUSES: Backoff = Backoff {
    first: Duration::from_millis(250),
    longest: Duration::from_secs(10),
};

/// What the daemon says.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "one exists at a time")]
pub(crate) enum FromDaemon {
    Input(Input),
    /// The token does not permit what the bridge needs.
    TokenRefused(String),
}

/// Why the daemon is not followed any more.
enum Ended {
    /// Trying again can help.
    Away(String),
    TokenRefused(String),
    /// The driver has ended.
    Closed,
}

impl From<Status> for Ended {
    fn from(status: Status) -> Self {
        let text = status.message().to_owned();
        match Reason::of(&status) {
            Some(Reason::NotAllowed | Reason::TokenInvalid) => Self::TokenRefused(text),
            Some(_) => Self::Away(text),
            None => Self::Away("the daemon does not answer".to_owned()),
        }
    }
}

impl From<ConnectError> for Ended {
    fn from(error: ConnectError) -> Self {
        Self::Away(error.to_string())
    }
}

/// Follows the daemon across its restarts.
pub(crate) struct Follower {
    settings: Arc<Settings>,
    link: watch::Sender<Option<Client>>,
    to: mpsc::Sender<FromDaemon>,
    /// The last event that was passed on, after which the next stream begins.
    after: Option<String>,
    failures: u32,
}

impl Follower {
    /// Returns a follower, and the connection for calls, which is there once the daemon was reached.
    pub(crate) fn new(
        settings: Arc<Settings>,
        to: mpsc::Sender<FromDaemon>,
    ) -> (Self, watch::Receiver<Option<Client>>) {
        let (link, calls) = watch::channel(None);
        let follower = Self {
            settings,
            link,
            to,
            after: None,
            failures: 0,
        };
        (follower, calls)
    }

    /// Follows the daemon until the driver ends, or the daemon refuses the token.
    pub(crate) async fn run(mut self) {
        loop {
            let Err(ended) = self.follow().await;
            match ended {
                Ended::Closed => return,
                Ended::TokenRefused(text) => {
                    let _ = self.to.send(FromDaemon::TokenRefused(text)).await;
                    return;
                }
                Ended::Away(reason) if self.failures == 0 => {
                    tracing::warn!(reason, "the daemon is away: waiting for it");
                }
                Ended::Away(_) => {}
            }
            if self.pass(Input::DaemonDown).await.is_err() {
                return;
            }
            self.failures = self.failures.saturating_add(1);
            sleep(PAUSES.pause(self.failures, u32::MAX)).await;
        }
    }

    async fn follow(&mut self) -> Result<std::convert::Infallible, Ended> {
        let client = self.connect().await?;
        let can_send = may_send(&client).await?;
        let contacts = contacts(&client).await?;
        let mut stream = self.subscribe(&client).await?;
        self.pass(Input::Contacts(contacts)).await?;
        self.pass(Input::DaemonUp { can_send }).await?;
        tracing::info!(can_send, "connected to the daemon");
        self.failures = 0;
        let mut refresh = interval(CONTACTS_EVERY);
        refresh.reset();
        loop {
            tokio::select! {
                answer = stream.message() => self.answer(answer?).await?,
                _ = refresh.tick() => {
                    let contacts = self::contacts(&client).await?;
                    self.pass(Input::Contacts(contacts)).await?;
                }
            }
        }
    }

    async fn connect(&self) -> Result<Client, Ended> {
        let client = match &self.settings.socket {
            Some(socket) => Client::connect(socket).await?,
            None => Client::connect_any(&socket::places()).await?.0,
        };
        let client = client.with_token(self.settings.token.clone());
        self.link.send_replace(Some(client.clone()));
        Ok(client)
    }

    async fn subscribe(&mut self, client: &Client) -> Result<Streaming<SubscribeResponse>, Ended> {
        let heartbeat = pbjson_types::Duration {
            seconds: HEARTBEAT_S,
            nanos: 0,
        };
        let request = SubscribeRequest {
            client: self.settings.client.clone(),
            after: self.after.clone().unwrap_or_default(),
            presence: true,
            heartbeat: Some(heartbeat),
            ..SubscribeRequest::default()
        };
        let answer = client.events().subscribe(request).await;
        if let Err(status) = &answer
            && Reason::of(status) == Some(Reason::CursorInvalid)
        {
            // The log is another one: the daemon knows where the client name goes on.
            self.after = None;
        }
        Ok(answer?.into_inner())
    }

    async fn answer(&mut self, answer: Option<SubscribeResponse>) -> Result<(), Ended> {
        let answer = answer.ok_or_else(|| Ended::Away("the daemon stopped".to_owned()))?;
        if let Some(peer) = answer.notice.and_then(convert::presence) {
            self.pass(Input::Presence(peer)).await?;
        }
        if let Some(caught_up) = answer.caught_up {
            self.passed(caught_up.cursor).await?;
        }
        let Some(event) = answer.event else {
            return Ok(());
        };
        let happening = convert::happening(event);
        self.after = Some(happening.cursor.clone());
        self.pass(Input::Event(happening)).await
    }

    /// Passes on that there are no further events up to a position.
    async fn passed(&mut self, cursor: String) -> Result<(), Ended> {
        if self.after.as_ref() == Some(&cursor) {
            return Ok(());
        }
        self.after = Some(cursor.clone());
        let happening = Happening {
            cursor,
            peer_id: String::new(),
            name: String::new(),
            kind: Kind::Passed,
        };
        self.pass(Input::Event(happening)).await
    }

    async fn pass(&self, input: Input) -> Result<(), Ended> {
        let sent = self.to.send(FromDaemon::Input(input)).await;
        sent.map_err(|_| Ended::Closed)
    }
}

/// Returns whether the token permits sending: a call of that scope that does nothing is refused for its argument only.
async fn may_send(client: &Client) -> Result<bool, Status> {
    let request = MarkReadRequest::default();
    match client.messages().mark_read(request).await {
        Ok(_) => Ok(true),
        Err(status) => match Reason::of(&status) {
            Some(Reason::InvalidArgument) => Ok(true),
            Some(Reason::NotAllowed) => Ok(false),
            _ => Err(status),
        },
    }
}

async fn contacts(client: &Client) -> Result<Vec<Peer>, Status> {
    let mut all: Vec<Contact> = Vec::new();
    let mut after = String::new();
    loop {
        let request = ListContactsRequest {
            state: ContactState::Contact.into(),
            after,
        };
        let page = client.contacts().list_contacts(request).await?.into_inner();
        all.extend(page.contacts);
        after = page.next;
        if after.is_empty() || all.len() >= MAX_CONTACTS {
            return Ok(all.into_iter().map(convert::peer).collect());
        }
    }
}

/// Stores the position of the client name. Returns whether it needs no repetition.
pub(crate) async fn acknowledge(client: Option<Client>, name: String, cursor: String) -> bool {
    let Some(client) = client else {
        return false;
    };
    let request = AcknowledgeEventsRequest {
        client: name,
        cursor,
    };
    let mut events = client.events();
    let stored = timeout(CALL_TIMEOUT, events.acknowledge_events(request)).await;
    match stored {
        Ok(Ok(_)) => true,
        // The log is another one.
        Ok(Err(status)) => Reason::of(&status) == Some(Reason::CursorInvalid),
        Err(_) => false,
    }
}

/// Sends a text. Returns what became of it.
pub(crate) async fn send(
    client: Option<Client>,
    peer_id: String,
    text: String,
    key: String,
) -> Sent {
    let Some(client) = client else {
        return Sent::Later;
    };
    let request = SendMessageRequest {
        contact: peer_id,
        content: Some(Content::Text(text)),
        idempotency_key: key,
        ..SendMessageRequest::default()
    };
    let mut messages = client.messages();
    let sent = timeout(CALL_TIMEOUT, messages.send_message(request)).await;
    match sent {
        Ok(Ok(_)) => Sent::Stored,
        Ok(Err(status)) => refusal(&status),
        Err(_) => Sent::Later,
    }
}

fn refusal(status: &Status) -> Sent {
    match Reason::of(status) {
        Some(
            reason @ (Reason::ContactUnknown
            | Reason::ContactAmbiguous
            | Reason::NotAContact
            | Reason::MessageTooLarge
            | Reason::InvalidArgument
            | Reason::KeyReused
            | Reason::NotAllowed),
        ) => Sent::Refused(reason.as_str()),
        Some(Reason::OutboxFull) => Sent::Full,
        _ => Sent::Later,
    }
}
